package arbiter

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// listen subscribes to what devices say. Everything here runs on the
// publisher's goroutine and only enqueues.
func (s *Service) listen() (cancel func(), err error) {
	var cancels []func()
	cancel = func() {
		for _, c := range cancels {
			c()
		}
	}
	all := map[string]func(area.Message){
		area.StatusTopic("+"):     s.heardStatus,
		area.ClaimTopic("+", "+"): s.heardClaim,
		area.SetTopic("+", "+"):   s.heardSet,
		area.VoteTopic("+", "+"):  s.heardVote,
	}
	maps.Copy(all, s.listenTrunks())
	if s.oneBroker() {
		all[area.BusyTopic("+")] = s.heardBusy
	}
	for filter, heard := range all {
		c, err := s.bus.Subscribe(filter, heard)
		if err != nil {
			return cancel, err
		}
		cancels = append(cancels, c)
	}
	cancels = append(cancels, s.links.Connections(func(conn uint64, reason string) { s.roster.Lost(mqttLink(conn), reason) }))
	return cancel, nil
}

func mqttLink(conn uint64) string { return "mqtt/" + strconv.FormatUint(conn, 10) }

// heardStatus takes a device's word on itself: it registers the device, or says
// that it left.
func (s *Service) heardStatus(m area.Message) {
	t := area.ParseTopic(m.Topic)
	if t.Kind != area.KindStatus || len(m.Payload) == 0 {
		return
	}
	st, err := area.ParseStatus(m.Payload)
	if err != nil || st.Area == "" {
		s.malformed(m, err)
		return
	}
	switch {
	case m.Replay:
		err = s.roster.Retained(playerOf(t.Device, st, m))
	case !st.Online && m.Will:
		s.roster.Left(t.Device, st.MID, st.Boot, st.Conn, area.PresentWill)
	case !st.Online:
		s.roster.Left(t.Device, st.MID, st.Boot, st.Conn, area.PresentGoodbye)
	default:
		s.register(playerOf(t.Device, st, m))
	}
	if err != nil {
		s.malformed(m, err)
	}
}

func playerOf(d area.DeviceID, st area.Status, m area.Message) Player {
	link, client := mqttLink(m.Conn), m.From
	if leader, of := strings.CutPrefix(m.From, area.FromBridge+":"); of {
		link, client = trunkLink(area.DeviceID(leader)), ""
	}
	return Player{
		Device: d, Name: st.Name, Area: st.Area, Location: st.Location, Via: area.ViaMQTT, Link: link, Client: client,
		Boot: st.Boot, MID: st.MID, Conn: st.Conn, Volume: st.Volume, Muted: st.Muted, Silent: st.Audio == area.AudioNone, Told: true,
	}
}

// register puts a device on the roster, and tells it where that was refused.
func (s *Service) register(p Player) bool {
	name, _, err := s.roster.Register(p)
	if err == nil {
		return true
	}
	reason := area.ReasonUnknownArea
	if errors.Is(err, &area.Error{Code: area.CodeLocationConflict}) {
		reason = area.ReasonLocationConflict
	}
	s.log.Warn("registration refused", "device", p.Device, "area", p.Area, "location", p.Location, "err", err)
	s.refuse(p.Device, area.Answer{Boot: p.Boot, MID: p.MID, Reason: reason})
	return name != ""
}

func (s *Service) refuse(d area.DeviceID, a area.Answer) {
	if !s.speaks() {
		return
	}
	a.Op, a.From = area.OpRefused, s.name()
	s.Post(area.Message{Topic: area.GrantTopic(d), QoS: 1, Payload: a.Encode()})
}

// heardClaim hands a claim to the arbiter of its area. A device that has not
// said its status is where it claims; one that has is refused elsewhere, and
// told where it is: it may know its area by a name that makes another id.
func (s *Service) heardClaim(m area.Message) {
	t := area.ParseTopic(m.Topic)
	if t.Kind != area.KindClaim || m.Replay || m.Will || len(m.Payload) == 0 {
		return
	}
	c, err := area.ParseClaim(m.Payload)
	if err != nil {
		s.malformed(m, err)
		return
	}
	link := mqttLink(m.Conn)
	switch in, told, live := s.roster.heard(t.Device, link); {
	case live && in == t.Area:
	case live && told:
		s.refuse(t.Device, area.Answer{Boot: c.Boot, MID: c.MID, Claim: c.Claim, Ack: c.Seq, Work: c.Work, Reason: area.ReasonNotMember, Area: in})
		return
	case !s.register(Player{Device: t.Device, Area: string(t.Area), Via: area.ViaMQTT, Link: link, Client: m.From, Boot: c.Boot, MID: c.MID}):
		return
	}
	if d := s.found(t.Area); d != nil {
		d.box.hear(s.overBroker(Heard{Device: t.Device, Claim: c}))
	}
}

// heardSet hands in what a dumb device says: 1 or 0.
func (s *Service) heardSet(m area.Message) {
	t := area.ParseTopic(m.Topic)
	if t.Kind != area.KindSet || m.Replay || len(m.Payload) == 0 {
		return
	}
	on := string(m.Payload) == "1"
	if !on && string(m.Payload) != "0" {
		s.malformed(m, area.Errorf(area.CodeInvalid, "neither 1 nor 0"))
		return
	}
	if m.Conn != 0 && !m.Will {
		link := mqttLink(m.Conn)
		in, told, live := s.roster.heard(t.Device, link)
		if !(live && (told || in == t.Area)) &&
			!s.register(Player{Device: t.Device, Area: string(t.Area), Via: area.ViaDumb, Link: link, Client: m.From}) {
			return
		}
	}
	if _, err := s.roster.Seen(string(t.Area)); err != nil {
		s.malformed(m, err)
		return
	}
	if d := s.found(t.Area); d != nil {
		d.box.hear(s.overBroker(Set{Device: t.Device, On: on, Will: m.Will}))
	}
}

// malformed counts a payload that cannot be read, with one line in the log.
func (s *Service) malformed(m area.Message, err error) {
	s.count.malformed.Add(1)
	s.log.Warn("payload dropped", "topic", m.Topic, "n", len(m.Payload), "err", err)
}

func (s *Service) disconnect(d area.DeviceID) {
	if client := s.roster.client(d); client != "" {
		s.log.Warn("device seems to hear nothing, its connection is closed", "device", d)
		s.links.Disconnect(client, "no grant was ever heard")
	}
}

// Post publishes an answer of the hub that is no area's own, such as the
// response to a submit. It does not block; over the bound it is dropped and
// counted.
func (s *Service) Post(m area.Message) {
	if m.From == "" {
		m.From = area.FromArbiter
	}
	select {
	case s.post <- m:
	default:
		s.count.unposted.Add(1)
	}
}

// deliver publishes what was posted, until ctx ends.
func (s *Service) deliver(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.post:
			if err := s.bus.Publish(ctx, m); err != nil && ctx.Err() == nil {
				s.log.Warn("answer not published", "topic", m.Topic, "err", err)
			}
		}
	}
}
