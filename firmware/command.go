package firmware

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

var (
	errCommand = errors.New("command is none of identify, volume, mute")
	errPayload = errors.New("payload does not fit the command")
)

// commanded does what an operator asks for on tacet/device/{device}/cmd/{name}:
// identify (no payload) blinks the lamp for 5 s; volume takes 0 to 100 or
// {"volume":70}; mute takes true, false, 1, 0 or {"muted":true}. A retained
// identify is old news and is ignored; the other two are a state.
func (a *Agent) commanded(m area.Message) {
	name := area.ParseTopic(m.Topic).Name
	if err := a.command(name, m.Payload, m.Replay); err != nil {
		a.Log.Warn("command not done", "topic", m.Topic, "err", err)
	}
}

func (a *Agent) command(name string, payload []byte, old bool) error {
	switch name {
	case "identify":
		if !old {
			a.blinks = a.now().Add(identify)
		}
	case "volume":
		n, err := volumeOf(payload)
		if err != nil {
			return err
		}
		a.shared.volume.Store(n)
	case "mute":
		on, err := muteOf(payload)
		if err != nil {
			return err
		}
		a.shared.muted.Store(on)
	default:
		return errCommand
	}
	a.Log.Info("commanded", "topic", name)
	return nil
}

func volumeOf(payload []byte) (int64, error) {
	var n int64
	if json.Unmarshal(payload, &n) != nil {
		var o struct {
			Volume *int64 `json:"volume"`
		}
		if json.Unmarshal(payload, &o) != nil || o.Volume == nil {
			return 0, errPayload
		}
		n = *o.Volume
	}
	if n < 0 || n > 100 {
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
