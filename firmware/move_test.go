package firmware

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// hub is the real arbiter, which has the area north under the name North Wing.
type hub struct {
	*referee // whose broker alone is used
	roster   *arbiter.Roster
	service  *arbiter.Service
	claims   chan string // topics of what devices say
}

func newHub(t *testing.T) *hub {
	t.Helper()
	h := &hub{referee: &referee{t: t, b: brokertest.New(t)}, claims: make(chan string, 1000)}
	var err error
	h.roster, err = arbiter.NewRoster(arbiter.RosterConfig{Node: "hub-1", Areas: []arbiter.AreaConfig{
		{ID: north, Name: "North Wing", Volume: -1, Locations: []arbiter.Place{{ID: "1"}}}}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	h.service, err = arbiter.New(arbiter.Config{Node: "hub-1", ColdStart: true}, h.b, forgetful{}, connections{h.b}, h.roster,
		func() area.Instant { return area.Instant(time.Since(began)) }, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cancel, err := h.b.Subscribe("tacet/area/+/claim/+", func(m area.Message) { h.claims <- m.Topic })
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := h.service.Run(ctx, nobody{}); err != nil {
			t.Errorf("arbiter: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); end(); running.Wait() })
	synctest.Wait()
	return h
}

// said is the areas in which devices have claimed since it was asked last, each
// once, in the order of the first claim.
func (h *hub) said() (in []area.Name) {
	for synctest.Wait(); len(h.claims) > 0; {
		if a := area.ParseTopic(<-h.claims).Area; !slices.Contains(in, a) {
			in = append(in, a)
		}
	}
	return in
}

func (h *hub) submit(w area.WorkID, text string) {
	h.t.Helper()
	err := h.service.Submit(h.t.Context(), area.Work{ID: w, Area: north, Prio: area.Normal, Dur: 5 * time.Second,
		Expires: time.Now().Add(time.Minute), Body: speech(text)})
	if err != nil {
		h.t.Fatal(err)
	}
}

type forgetful struct{}

func (forgetful) Load(area.Name) ([]byte, error)                 { return nil, nil }
func (forgetful) Commit(_ area.Name, _ []byte, done func(error)) { done(nil) }

type connections struct{ b *brokertest.Broker }

func (c connections) Disconnect(client, reason string) bool { return c.b.Disconnect(client, reason) }
func (c connections) Connections(ended func(uint64, string)) func() {
	return c.b.Connections(func(e broker.ConnEvent) {
		if !e.Up {
			ended(e.Conn, area.PresentWill)
		}
	})
}

type nobody struct{}

func (nobody) Report(area.Report) {}

// A device that knows its area by the name that people read claims where that
// name would lead, is refused, and goes to where the hub has it.
func TestAreaByItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := newDev(t, h.referee, "gate-1", func(_ *dev, c *Config) { c.Area, c.AreaText = "north-wing", "North Wing" })
		if in := h.said(); !slices.Equal(in, []area.Name{"north-wing", north}) {
			t.Errorf("it has claimed in %v", in)
		}
		if names := h.roster.Names(); !slices.Equal(names, []area.Name{north}) {
			t.Errorf("areas %v, want north alone", names)
		}
		h.submit("o-1", "gate one closes")
		time.Sleep(time.Second)
		if s := d.status(h.referee); s.State != "playing" || s.Boot != 1 || !d.board.Busy.On() {
			t.Errorf("state %s of start %d, lamp %v", s.State, s.Boot, d.board.Busy.On())
		}
		time.Sleep(9 * time.Second)
		if p := d.plays(); len(p) != 1 || p[0].to-p[0].from != 3*time.Second {
			t.Errorf("plays = %+v", p)
		}
		d.cut(true)
		time.Sleep(time.Second)
		d.cut(false)
		time.Sleep(10 * time.Second)
		h.submit("o-2", "gate two closes")
		time.Sleep(10 * time.Second)
		if p := d.plays(); len(p) != 2 {
			t.Errorf("after a new connection: plays = %+v", p)
		}
		if in := h.said(); !slices.Equal(in, []area.Name{north}) {
			t.Errorf("since it has moved it claims in %v", in)
		}
		if st := h.service.Stats(); st.Malformed != 0 {
			t.Errorf("Stats = %+v", st)
		}
	})
}

// What sounds is ended before the device moves.
func TestMovesInSilence(t *testing.T) {
	inBubble(t, func(t *testing.T, r *referee) {
		d := newDev(t, r, "gate-1")
		r.offer("gate-1", "o-1", 1, speech(strings.Repeat("word ", 30)))
		time.Sleep(2 * time.Second)
		claims := brokertest.NewInbox()
		cancel, err := r.b.Subscribe(area.ClaimTopic("south", "+"), claims.Put)
		if err != nil {
			t.Fatal(err)
		}
		defer cancel()
		refuse := func(in area.Name) {
			wants := append(r.told("gate-1", area.OpWant), r.told("gate-1", area.OpDone)...)
			last := wants[len(wants)-1].Claim
			r.do(func() {
				r.answer("gate-1", last, area.Answer{Op: area.OpRefused, Claim: last.Claim, Reason: area.ReasonNotMember, Area: in})
			})
			synctest.Wait()
		}
		r.do(func() { r.silent = true }) // so that the done is not answered
		refuse("south")
		refused := time.Since(d.clock.began)
		time.Sleep(200 * time.Millisecond)
		if p := d.plays(); len(p) != 1 || p[0].to == 0 || p[0].to > refused+ahead || claims.Len() > 0 {
			t.Errorf("refused at %v: plays = %+v, %d claims in south", refused, p, claims.Len())
		}
		if done := r.told("gate-1", area.OpDone); len(done) != 1 || done[0].Result != area.Cancelled {
			t.Errorf("done = %+v", done)
		}
		refuse("")
		if claims.Len() > 0 {
			t.Error("it moves without being told where")
		}
		refuse("south")
		c, err := area.ParseClaim(claims.Take(t, 1)[0].Payload)
		if err != nil || c.Op != area.OpHello || c.Boot != 1 {
			t.Errorf("in south it says %+v %v, want hello of the same start", c, err)
		}
		refuse("south") // late
		r.do(func() {
			b := area.IdleBusy(north, 7, 1<<50, 6*time.Second)
			b.State = area.Held
			r.publish(area.Message{Topic: area.BusyTopic(north), Payload: b.Encode(), QoS: 1, Retain: true})
		})
		synctest.Wait()
		if s := d.status(r); s.State != "idle" || d.board.Busy.On() || claims.Len() > 0 {
			t.Errorf("state %s, lamp %v, %d more claims in south", s.State, d.board.Busy.On(), claims.Len())
		}
	})
}
