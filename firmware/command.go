package firmware

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

var (
	errCommand = errors.New("command is not known")
	errPayload = errors.New("payload does not fit the command")
	errNoLog   = errors.New("no log is kept")
	errTooSoon = errors.New("asked again within a second")
)

// commanded does what an operator asks for on tacet/device/{device}/cmd/{name}:
//
//	identify  blinks the lamp for 5 s, and chirps when the area is free
//	volume    takes 0 to 100 or {"volume":70}
//	mute      takes true, false, 1, 0 or {"muted":true}
//	log       sends the last 100 lines of the log, or n or {"lines":n} of them
//	restart   ends the program, to be started again; that is also how safe mode is left
//
// and those of [Parts]. A retained volume or mute is a state; any other retained
// command is old news and is ignored.
func (a *Agent) commanded(m area.Message) {
	name := area.ParseTopic(m.Topic).Name
	if err := a.command(name, m.Payload, m.Replay); err != nil {
		a.Log.Warn("command not done", "topic", m.Topic, "err", err)
		return
	}
	a.Log.Info("commanded", "topic", name)
}

func (a *Agent) command(name string, payload []byte, old bool) error {
	switch name {
	case "volume":
		n, err := volumeOf(payload)
		if err == nil {
			a.shared.volume.Store(n)
		}
		return err
	case "mute":
		on, err := muteOf(payload)
		if err == nil {
			a.shared.muted.Store(on)
		}
		return err
	}
	if old {
		return nil
	}
	switch name {
	case "announce", "chime", "stop", "test": // the hub does these, and we hear of it
	case "identify":
		a.identify()
	case "log":
		return a.sendLog(payload)
	case "restart":
		a.End(ErrRestart)
	default:
		more, known := a.Commands[name]
		if !known {
			return errCommand
		}
		return more(payload)
	}
	return nil
}

func volumeOf(payload []byte) (int64, error) {
	n, err := numberOf(payload, "volume")
	if err != nil || n < 0 || n > 100 {
		return 0, errPayload
	}
	return n, nil
}

// numberOf is a whole number: the payload itself, or the value of a key in it.
func numberOf(payload []byte, key string) (int64, error) {
	var n int64
	if json.Unmarshal(payload, &n) == nil {
		return n, nil
	}
	var o map[string]json.RawMessage
	if json.Unmarshal(payload, &o) != nil || o[key] == nil || json.Unmarshal(o[key], &n) != nil {
		return 0, errPayload
	}
	return n, nil
}

func muteOf(payload []byte) (bool, error) {
	switch strings.TrimSpace(string(payload)) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	var o struct {
		Muted *bool `json:"muted"`
	}
	if json.Unmarshal(payload, &o) != nil || o.Muted == nil {
		return false, errPayload
	}
	return *o.Muted, nil
}
