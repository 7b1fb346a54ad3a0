package bridge

import (
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// Readings takes what messages say of sensors; it must not block.
type Readings interface {
	Put(v mapping.Value, topic string, replay bool) (area.Reading, bool)
	Present(p mapping.Presence, topic string, replay bool)
	See(s mapping.Sight, by, topic string)
	Heard(d area.DeviceID)
	Forget(d area.DeviceID)
	Disown(topic string, but []area.DeviceID)
	AreaOf(d area.DeviceID) area.Name
}

// mapped does what conventions and mappings make of a message: readings,
// presence, and events of groups. What a sensor announces of itself may say
// that earlier messages mean something else than it seemed: the newest of each
// such topic is read again, as old news.
func (p *Pump) mapped(m sampled) {
	out := p.read(m)
	for _, topic := range out.Again {
		if newest, ok := p.topics.newest(topic); ok && p.Acts(newest) {
			newest.Replay = true
			again := p.read(sampled{newest, m.at})
			p.Readings.Disown(topic, again.Devices())
		}
	}
}

// read is mapped for one message.
func (p *Pump) read(s sampled) mapping.Outcome {
	m, now := s.Message, s.at
	if area.Shown(m.Topic) {
		return mapping.Outcome{}
	}
	user := m.User
	if user == "" {
		user = m.From
	}
	out := p.reader.Read(p.rules.Load(), mapping.Message{Topic: m.Topic, Payload: m.Payload, User: user, Will: m.Will, Replay: m.Replay, At: now})
	if !p.Acts(m) {
		return mapping.Outcome{Again: out.Again} // the rest is told by the node that acts on it
	}
	if out.Faults.Any() {
		p.blame(m, &out.Faults)
	}
	for _, what := range out.Obscure {
		p.sayOnce(now, "template not understood, its raw value is shown", "topic", m.Topic, "err", what)
	}
	for _, d := range out.Gone {
		p.Readings.Forget(d)
	}
	for _, s := range out.Sights {
		p.Readings.See(s, out.By, m.Topic)
	}
	for _, v := range out.Values {
		if reading, ok := p.Readings.Put(v, m.Topic, m.Replay); ok {
			p.showReading(reading)
		}
	}
	for _, there := range out.Presences {
		p.Readings.Present(there, m.Topic, m.Replay)
	}
	p.moments(&out, m, now)
	p.named(&out, m.Topic)
	to := Hub(p.Hub)
	if m.Replay {
		to = p.Here
	}
	for _, e := range out.Events {
		p.count.events.Add(1)
		to.Send(string(e.Group), e.Event, mappedEvent{m.Topic, showPayload(m.Payload), m.Replay, e.Captures})
	}
	return out
}

// deviceEvent is the argument of DeviceEvent: something that happened at a
// sensor and does not last.
type deviceEvent struct {
	Device  area.DeviceID `json:"device"`
	Area    area.Name     `json:"area"`
	Event   string        `json:"event"` // "action"
	Channel *string       `json:"channel"`
	Value   any           `json:"value"` // a number, a boolean or text
	TS      int64         `json:"ts"`    // Unix milliseconds
	Topic   string        `json:"topic"`
}

// moments tells the watchers what happened. A retained copy is over.
func (p *Pump) moments(out *mapping.Outcome, m area.Message, now time.Time) {
	if m.Replay {
		return
	}
	for _, x := range out.Moments {
		p.Readings.See(mapping.Sight{Device: x.Device, Area: x.Area}, out.By, m.Topic) // it may be the first of it
		p.Readings.Heard(x.Device)
		p.count.moments.Add(1)
		e := deviceEvent{Device: x.Device, Area: p.Readings.AreaOf(x.Device), Event: x.Name, Value: x.Value, TS: x.TS, Topic: m.Topic}
		if x.Channel != "" {
			e.Channel = &x.Channel
		}
		if e.TS == 0 {
			e.TS = now.UnixMilli()
		}
		toWatchers(p.Hub, e.Area, eventMoment, e)
	}
}

// named tells the registry which convention the devices of a message speak.
func (p *Pump) named(out *mapping.Outcome, topic string) {
	if out.By == "" {
		return
	}
	last := area.DeviceID("")
	for _, d := range out.Devices() {
		if d != last {
			p.Readings.See(mapping.Sight{Device: d}, out.By, topic)
		}
		last = d
	}
}
