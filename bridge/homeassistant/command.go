package homeassistant

import (
	"encoding/json"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
)

// command is what somebody wants on a command topic of ours.
type command struct {
	device area.DeviceID // either this
	area   area.Name     // or this
	name   string        // announce, chime, stop or test
}

// parseCommand reads a topic; false where it is none of ours, as volume, which
// the device takes itself.
func parseCommand(topic string) (c command, ok bool) {
	l := strings.Split(topic, "/")
	if len(l) != 5 || l[0] != area.Root || l[3] != "cmd" || !area.IsID(l[2]) {
		return c, false
	}
	switch c.name = l[4]; c.name {
	case "announce", "chime", "stop", "test":
	default:
		return c, false
	}
	switch l[1] {
	case "device":
		c.device = area.DeviceID(l[2])
	case "area":
		c.area = area.Name(l[2])
	default:
		return c, false
	}
	return c, true
}

// to is whom an order of the command is for.
func (c command) to() area.To {
	text := string(c.device)
	if c.area != "" {
		text = string(c.area)
		return area.To{Area: &text}
	}
	return area.To{Device: &text}
}

// ring is what a siren is told.
type ring struct {
	on     bool
	tone   string
	repeat int // from its duration
	volume *int
}

// defaultTone sounds where none is named.
const defaultTone = "two-tone"

// parseRing reads the payload of a siren: ON, OFF, the name of a tone, or an
// object. length is how long a tone sounds, 0 where there is none of that name;
// what a siren is to last is made of repetitions, most of them.
func parseRing(payload []byte, length func(tone string) time.Duration, most int) (r ring, err error) {
	var o struct {
		State    string   `json:"state"`
		Tone     string   `json:"tone"`
		Duration float64  `json:"duration"` // seconds
		Volume   *float64 `json:"volume_level"`
	}
	switch text := strings.TrimSpace(string(payload)); {
	case strings.HasPrefix(text, "{"):
		if json.Unmarshal(payload, &o) != nil {
			return r, area.Errorf(area.CodeBadRequest, "the siren's payload is no object that it knows")
		}
	case strings.EqualFold(text, on), strings.EqualFold(text, off):
		o.State = text
	default:
		o.State, o.Tone = on, text
	}
	if strings.EqualFold(o.State, off) {
		return r, nil
	}
	if o.State != "" && !strings.EqualFold(o.State, on) {
		return r, area.Errorf(area.CodeInvalid, "state %.20q is neither ON nor OFF", o.State)
	}
	r = ring{on: true, tone: o.Tone, repeat: 1}
	if r.tone == "" {
		r.tone = defaultTone
	}
	lasts := length(r.tone)
	if lasts <= 0 {
		return r, area.Errorf(area.CodeInvalid, "there is no tone %.40q", r.tone)
	}
	if o.Duration > 0 {
		r.repeat = int(math.Min(math.Max(1, math.Round(o.Duration/lasts.Seconds())), float64(most)))
	}
	if o.Volume != nil {
		if *o.Volume < 0 || *o.Volume > 1 {
			return r, area.Errorf(area.CodeInvalid, "volume_level is not 0 to 1")
		}
		percent := int(math.Round(*o.Volume * 100))
		r.volume = &percent
	}
	return r, nil
}

// textOf is the text of a notification: as it is, or the message of an object.
func textOf(payload []byte) (string, error) {
	if !utf8.Valid(payload) {
		return "", area.Errorf(area.CodeBadRequest, "the text is not UTF-8")
	}
	text := strings.TrimSpace(string(payload))
	var o struct {
		Message *string `json:"message"`
	}
	if strings.HasPrefix(text, "{") && json.Unmarshal(payload, &o) == nil && o.Message != nil {
		text = *o.Message
	}
	if text == "" {
		return "", area.Errorf(area.CodeInvalid, "there is nothing to say")
	}
	return text, nil
}
