package firmware

import (
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// referee is the least arbiter that can be had: it hears the claims on area
// north at a real broker, grants the area to one device at a time by a lease, and
// gives each work to its first taker. It is the other end of the tests here; the
// real one has its own.
type referee struct {
	t     *testing.T
	b     *brokertest.Broker
	began time.Time
	lease time.Duration

	claims  chan area.Message
	say     chan func() // done by its goroutine
	heard   []claimed
	silent  bool // it hears, and does not answer
	settles bool // it answers, and does not grant
	boots   map[area.DeviceID]uint64
	takers  map[area.WorkID]area.DeviceID
	atts    map[area.WorkID]int
	prio    area.Priority
	strange map[area.WorkID]bool // works that it does not know

	holder area.DeviceID
	claim  uint64
	token  area.Token
	exp    time.Time
	line   []area.DeviceID
}

type claimed struct {
	device area.DeviceID
	at     time.Duration // since the start
	area.Claim
}

const north area.Name = "north"

func newReferee(t *testing.T) *referee {
	t.Helper()
	r := &referee{t: t, b: brokertest.New(t), began: time.Now(), lease: 6 * time.Second, prio: area.Normal,
		claims: make(chan area.Message, 1000), say: make(chan func()),
		boots: map[area.DeviceID]uint64{}, takers: map[area.WorkID]area.DeviceID{}, atts: map[area.WorkID]int{}, token: area.MakeToken(7, 0)}
	cancel, err := r.b.Subscribe("tacet/area/north/claim/+", func(m area.Message) { r.claims <- m })
	if err != nil {
		t.Fatal(err)
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case m := <-r.claims:
				c, err := area.ParseClaim(m.Payload)
				if err != nil {
					t.Errorf("claim of %s: %v", m.From, err)
					continue
				}
				d := area.ParseTopic(m.Topic).Device
				r.heard = append(r.heard, claimed{device: d, at: time.Since(r.began), Claim: c})
				if !r.silent {
					r.hear(d, c)
				}
			case f := <-r.say:
				f()
			case <-end:
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); close(end); <-ended })
	r.do(func() { r.show() })
	return r
}

// do has f done by the goroutine of the referee.
func (r *referee) do(f func()) {
	done := make(chan struct{})
	r.say <- func() { f(); close(done) }
	<-done
}

// told is what was heard of one kind, of a device or (empty) of all.
func (r *referee) told(d area.DeviceID, op area.Op) (found []claimed) {
	r.do(func() {
		for _, c := range r.heard {
			if c.Op == op && (d == "" || c.device == d) {
				found = append(found, c)
			}
		}
	})
	return found
}

// offer holds a work out; to is a device, or empty for all.
func (r *referee) offer(to area.DeviceID, work area.WorkID, att int, b area.Body) {
	r.do(func() {
		topic := area.WorkTopic(to)
		if to == "" {
			topic = area.AreaWorkTopic(north)
		}
		if att != r.atts[work] {
			r.atts[work] = att
			delete(r.takers, work)
		}
		if r.takers[work] != "" {
			return // what is assigned is no longer held out
		}
		o := area.Offer{Work: work, Att: att, Dur: 5 * time.Second, Prio: r.prio, TTL: time.Minute, Body: b}
		r.publish(area.Message{Topic: topic, Payload: o.Encode(), QoS: 1})
	})
}

func speech(text string) area.Body {
	return area.Body{Kind: "announce", Message: &text, Chime: "none", Repeat: 1}
}

func (r *referee) publish(m area.Message) {
	m.From = area.FromArbiter
	if err := r.b.Publish(r.t.Context(), m); err != nil {
		r.t.Errorf("publish %s: %v", m.Topic, err)
	}
}

func (r *referee) answer(d area.DeviceID, c area.Claim, a area.Answer) {
	a.Boot, a.MID, a.Ack, a.Term, a.From = c.Boot, c.MID, c.Seq, 7, "hub-1"
	r.publish(area.Message{Topic: area.GrantTopic(d), Payload: a.Encode(), QoS: 1})
}

func (r *referee) show() {
	b := area.IdleBusy(north, 7, uint64(time.Since(r.began))+1, r.lease)
	if r.holder != "" {
		b.State, b.Holder = area.Held, &r.holder
	}
	r.publish(area.Message{Topic: area.BusyTopic(north), Payload: b.Encode(), QoS: 1, Retain: true})
}

func (r *referee) hear(d area.DeviceID, c area.Claim) {
	switch c.Op {
	case area.OpHello:
		boot := max(c.Boot, r.boots[d])
		c.Boot = boot
		r.answer(d, c, area.Answer{Op: area.OpHello, Nonce: c.Nonce})
	case area.OpTake:
		if r.takers[c.Work] == "" {
			r.takers[c.Work] = d
		}
		if r.takers[c.Work] != d {
			r.answer(d, c, area.Answer{Op: area.OpRefused, Work: c.Work, Reason: area.ReasonTaken})
			return
		}
		r.answer(d, c, area.Answer{Op: area.OpAssigned, Work: c.Work, Att: c.Att, Dur: 5 * time.Second, Prio: r.prio})
	case area.OpWant:
		r.want(d, c)
	case area.OpDone:
		r.line = slices.DeleteFunc(r.line, func(w area.DeviceID) bool { return w == d })
		if r.holder == d && c.Claim >= r.claim {
			r.holder = ""
			r.show()
		}
		r.answer(d, c, area.Answer{Op: area.OpReleased, Claim: c.Claim})
	}
}

func (r *referee) want(d area.DeviceID, c area.Claim) {
	if r.holder != "" && time.Now().After(r.exp) {
		r.holder = ""
	}
	if r.strange[c.Work] {
		r.answer(d, c, area.Answer{Op: area.OpRefused, Claim: c.Claim, Work: c.Work, Reason: area.ReasonUnknownWork})
		return
	}
	if !slices.Contains(r.line, d) && r.holder != d {
		r.line = append(r.line, d)
	}
	if r.holder == "" && !r.settles && r.line[0] == d {
		r.line = r.line[1:]
		r.holder, r.claim = d, c.Claim
		r.token++
		r.show()
	}
	if r.holder != d || r.claim != c.Claim {
		r.answer(d, c, area.Answer{Op: area.OpQueued, Claim: c.Claim, Pos: 1})
		return
	}
	r.exp = time.Now().Add(r.lease + 250*time.Millisecond)
	r.answer(d, c, area.Answer{Op: area.OpGrant, Claim: c.Claim, Token: r.token, Lease: r.lease})
}

// revoke takes the area back from its holder.
func (r *referee) revoke(stop time.Duration, reason string) {
	r.do(func() {
		var last claimed
		for _, c := range r.heard {
			if c.device == r.holder && c.Op == area.OpWant {
				last = c
			}
		}
		r.answer(r.holder, last.Claim, area.Answer{Op: area.OpRevoke, Claim: r.claim, Token: r.token, Stop: stop, Reason: reason})
	})
}
