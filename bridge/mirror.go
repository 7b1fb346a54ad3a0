package bridge

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// maxEvent is the most bytes of an event's name that is mirrored.
const maxEvent = 128

// GroupSent mirrors what a client sent to a group to the group's topic. from is
// [area.FromHub], or FromHub:ID for one connection; args is the JSON array of
// the arguments and is kept. It never blocks: over [Config].Mirror waiting
// messages the oldest is dropped and counted. An event that is no level of a
// topic, and a sender that is not the hub, are refused and counted.
func (p *Pump) GroupSent(from string, group area.Group, event string, args []byte) {
	level := event != "" && len(event) <= maxEvent && utf8.ValidString(event) && !strings.ContainsAny(event, "/+#\x00")
	if !level || area.Passes(area.Message{From: from}, area.FromHub) {
		p.count.mirrorRefused.Add(1)
		return
	}
	p.out.Put(area.Message{Topic: area.GroupTopic(group, event), Payload: args, QoS: 1, From: from})
}

// publish sends what waits to the bus, until ctx ends.
func (p *Pump) publish(ctx context.Context) {
	batch := make([]area.Message, 0, 64)
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.out.Wake():
		}
		for batch = p.out.Take(batch[:0]); len(batch) > 0 && ctx.Err() == nil; batch = p.out.Take(batch[:0]) {
			if err := p.Bus.Publish(ctx, batch...); err != nil && ctx.Err() == nil {
				p.count.mirrorFailed.Add(uint64(len(batch)))
				p.log.Warn("group not mirrored to its topic", "err", err, "n", len(batch))
			}
			clear(batch)
		}
	}
}

// toGroup mirrors a message of a group's topic to the group, unless it came
// from there. A retained copy was mirrored when it was live.
func (p *Pump) toGroup(m area.Message, t area.Topic) {
	if m.Replay || !area.Passes(m, area.FromHub) {
		return
	}
	if !p.mayMirror(t.Group) || t.Group.Reserved() && area.HubEvent(t.Name) || len(t.Name) > maxEvent || !utf8.ValidString(t.Name) {
		p.count.mirrorRefused.Add(1)
		return
	}
	p.count.mirrored.Add(1)
	p.Hub.Send(string(t.Group), t.Name, arguments(m.Payload)...)
}

// mayMirror tells whether topics may send to a group: to all but the hub's own,
// of which areas that there are may be sent to.
func (p *Pump) mayMirror(g area.Group) bool {
	if !g.Reserved() {
		return true
	}
	name, ok := strings.CutPrefix(string(g), "area:")
	if !ok {
		return false
	}
	_, known := p.Areas.Area(area.Name(name))
	return known
}

// arguments is a payload as the arguments of an event: a JSON array is the
// arguments, other JSON or text is one, bytes are base64 text.
func arguments(payload []byte) []any {
	if !utf8.Valid(payload) {
		return []any{base64.StdEncoding.EncodeToString(payload)}
	}
	first := firstOf(payload)
	if !beginsJSON[first] || (first == '[' || first == '{') && mapping.TooDeep(payload, maxShownDepth) {
		return []any{string(payload)}
	}
	var list []json.RawMessage
	if first == '[' && json.Unmarshal(payload, &list) == nil {
		args := make([]any, len(list))
		for i := range list {
			args[i] = list[i]
		}
		return args
	}
	if json.Valid(payload) {
		return []any{json.RawMessage(payload)}
	}
	return []any{string(payload)}
}

// beginsJSON is the bytes with which a JSON value can begin: most texts do not.
var beginsJSON = [256]bool{
	'{': true, '[': true, '"': true, '-': true, 't': true, 'f': true, 'n': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
}

// firstOf is the first byte of a payload that is no space; 0 where there is none.
func firstOf(payload []byte) byte {
	if p := bytes.TrimLeft(payload, " \t\r\n"); len(p) > 0 {
		return p[0]
	}
	return 0
}
