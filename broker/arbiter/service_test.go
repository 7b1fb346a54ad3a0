package arbiter_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/turn"
)

// ledger keeps records in memory, as durable as the test.
type ledger struct {
	mu      sync.Mutex
	records map[area.Name][]byte
}

func (l *ledger) Load(a area.Name) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[a], nil
}

func (l *ledger) Commit(a area.Name, record []byte, done func(error)) {
	l.mu.Lock()
	l.records[a] = record
	l.mu.Unlock()
	done(nil)
}

type links struct{ b *brokertest.Broker }

func (l links) Disconnect(client, reason string) bool { return l.b.Disconnect(client, reason) }

func (l links) Connections(ended func(uint64, string)) func() {
	return l.b.Connections(func(e broker.ConnEvent) {
		if !e.Up {
			ended(e.Conn, area.PresentWill)
		}
	})
}

// reports collects what the service reports.
type reports struct {
	mu   sync.Mutex
	list []area.Report
}

func (r *reports) Report(rep area.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, rep)
}

func (r *reports) states(w area.WorkID) (list []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rep := range r.list {
		if rep.Work == w {
			list = append(list, strings.TrimSuffix(string(rep.State)+" "+rep.Reason, " "))
		}
	}
	return list
}

// is tells whether that is the newest of what was reported of a work.
func (r *reports) is(w area.WorkID, state string) bool {
	list := r.states(w)
	return len(list) > 0 && list[len(list)-1] == state
}

// hub is a broker with an arbiter, all in a bubble.
type hub struct {
	*brokertest.Broker
	voters  []arbiter.Voter
	roster  *arbiter.Roster
	service *arbiter.Service
	reports reports
	stop    func()
}

func newHub(t *testing.T, l *ledger, cold bool) *hub {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	h := &hub{Broker: brokertest.New(t)}
	var err error
	h.roster, err = arbiter.NewRoster(arbiter.RosterConfig{Node: "hub-1", Areas: []arbiter.AreaConfig{
		{ID: "north", Name: "North Wing", Volume: -1, Locations: []arbiter.Place{{ID: "1"}, {ID: "2"}}},
		{ID: "south", Volume: -1, EmergencyBarge: 2 * time.Second, Locations: []arbiter.Place{{ID: "3"}}},
	}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	h.service, err = arbiter.New(arbiter.Config{Node: "hub-1", ColdStart: cold, Voters: func(area.Name) ([]arbiter.Voter, bool) { return h.voters, true }}, h.Broker, l, links{h.Broker}, h.roster,
		func() area.Instant { return area.Instant(time.Since(start)) }, time.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := h.service.Run(ctx, &h.reports); err != nil {
			t.Error(err)
		}
	})
	h.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(h.stop)
	synctest.Wait()
	return h
}

// device is a device over MQTT that plays for as long as it is told to.
type device struct {
	t    *testing.T
	id   area.DeviceID
	in   area.Name
	c    mqtt.Client
	turn *turn.Turn
	got  *brokertest.Inbox
	did  []turn.Action
	zero time.Time
	node *siteNode // where it is connected, of several
}

func (h *hub) device(t *testing.T, id area.DeviceID, in, at string) *device {
	t.Helper()
	d := &device{t: t, id: id, in: area.Name(in), c: h.Dial(t, string(id)), zero: time.Now()}
	d.turn = turn.New(turn.Config{Area: d.in, Device: id, MID: "m-" + string(id), Boot: 1, Nonce: func() string { return "n" }})
	d.got = brokertest.Subscribe(t, d.c, area.GrantTopic(id), 1)
	d.c.Publish(area.StatusTopic(id), 1, true, area.Status{Online: true, Boot: 1, Conn: 1, Area: in, Location: at}.Encode()).Wait()
	d.step(turn.Up{})
	return d
}

// step moves the turn and then everything that follows from it.
func (d *device) step(ev turn.Event) {
	d.t.Helper()
	d.do(ev)
	for synctest.Wait(); d.got.Len() > 0; synctest.Wait() {
		a, err := area.ParseAnswer(d.got.Take(d.t, 1)[0].Payload)
		if err != nil {
			d.t.Fatal(err)
		}
		d.do(turn.Heard{Answer: a})
	}
}

func (d *device) do(ev turn.Event) {
	for _, a := range append([]turn.Action(nil), d.turn.Step(ev, area.Instant(time.Since(d.zero)))...) {
		d.did = append(d.did, a)
		if s, ok := a.(turn.Send); ok {
			d.c.Publish(area.ClaimTopic(d.in, d.id), 1, false, s.Claim.Encode()).Wait()
		}
	}
}

func (h *hub) busy(t *testing.T, in area.Name) area.Busy {
	t.Helper()
	synctest.Wait()
	list := h.Retained(area.BusyTopic(in), 1)
	if len(list) != 1 {
		t.Fatalf("%d retained busy of %s", len(list), in)
	}
	b, err := area.ParseBusy(list[0].Payload)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newLedger() *ledger { return &ledger{records: map[area.Name][]byte{}} }

func TestDevicesTakeTurnsOverMQTT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		a, b := h.device(t, "gate-1", "north", "1"), h.device(t, "gate-2", "north", "2")
		a.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		b.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		if a.turn.Phase() != turn.Playing || b.turn.Phase() != turn.Waiting {
			t.Fatalf("phases %s, %s, want playing, waiting", a.turn.Phase(), b.turn.Phase())
		}
		busy := h.busy(t, "north")
		if busy.State != area.Held || *busy.Holder != "gate-1" || len(busy.Queue) != 1 || busy.Queue[0] != "gate-2" {
			t.Errorf("busy is %+v", busy)
		}
		if d, _ := h.roster.Player("gate-2"); *d.State != "waiting" || d.Presence != area.Online {
			t.Errorf("gate-2 is %s and %s", *d.State, d.Presence)
		}
		a.step(turn.Over{Result: area.Played})
		b.step(turn.Tick{})
		if a.turn.Phase() != turn.Idle || b.turn.Phase() != turn.Playing {
			t.Errorf("phases %s, %s, want idle, playing", a.turn.Phase(), b.turn.Phase())
		}
		if got := h.service.Stats().Grants; got != 2 {
			t.Errorf("%d grants, want 2", got)
		}
	})
}

func TestAStartSettlesAndACleanStopSparesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger()
		h := newHub(t, l, false)
		if b := h.busy(t, "north"); b.State != area.Settling || b.Flag() != "1" {
			t.Fatalf("at the start busy is %+v", b)
		}
		a := h.device(t, "gate-1", "north", "1")
		begin := time.Now()
		a.step(turn.Wish{Prio: area.Normal, Dur: time.Second})
		for a.turn.Phase() != turn.Playing && time.Since(begin) < time.Minute {
			time.Sleep(time.Second)
			a.step(turn.Tick{})
		}
		if took := time.Since(begin); took < 6*time.Second || took > 9*time.Second {
			t.Errorf("granted after %s, want the lease of 6 s and the guard", took)
		}
		a.step(turn.Over{Result: area.Played})
		h.stop()
		if b := h.busy(t, "north"); b.State != area.Idle {
			t.Errorf("after a clean stop busy is %s", b.State)
		}
		again := newHub(t, l, false)
		if b := again.busy(t, "north"); b.State != area.Idle || b.Term <= 64 {
			t.Errorf("after a clean stop the next start is %s in term %d", b.State, b.Term)
		}
	})
}

func TestAWorkIsOfferedTakenAndReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		d := h.device(t, "gate-1", "north", "1")
		offers := brokertest.Subscribe(t, d.c, area.WorkTopic("gate-1"), 1)
		err := h.service.Submit(t.Context(), area.Work{ID: "o-1", Area: "north", Location: "1", Prio: area.Normal, Dur: time.Second, Expires: time.Now().Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		o, err := area.ParseOffer(offers.Take(t, 1)[0].Payload)
		if err != nil || o.Work != "o-1" || o.Att != 1 {
			t.Fatalf("offer %+v %v", o, err)
		}
		d.step(turn.Take{Work: "o-1", Att: 1})
		d.step(turn.Wish{Work: "o-1", Att: 1, Prio: area.Normal, Dur: time.Second})
		d.step(turn.Over{Result: area.Played})
		synctest.Wait()
		if got := strings.Join(h.reports.states("o-1"), ", "); got != "offered, assigned, playing, played" {
			t.Errorf("reports: %s", got)
		}
		h.service.Stored("north", "o-1")
		if err := h.service.Cancel(t.Context(), "o-1", area.EndUser); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("cancel of an ended work: %v", err)
		}
		if err := h.service.Submit(t.Context(), area.Work{ID: "o-2", Area: "moon"}); area.CodeOf(err) != area.CodeUnknownArea {
			t.Errorf("work for an unknown area: %v", err)
		}
	})
}

func TestWhatDevicesSayWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		d := h.device(t, "gate-1", "north", "3") // location 3 is in south
		refused := false
		for _, a := range d.did {
			r, ok := a.(turn.Refused)
			refused = refused || ok && r.Reason == area.ReasonLocationConflict
		}
		if shown, _ := h.roster.Player("gate-1"); shown.Area != "north" || shown.Location != nil {
			t.Errorf("gate-1 is %+v, want a member of north without location", shown)
		}
		before := h.service.Stats().Malformed
		for topic, payload := range map[string]string{
			area.ClaimTopic("north", "gate-1"):  `{"op":`,
			area.SetTopic("north", "old-1"):     `maybe`,
			area.StatusTopic("gate-1"):          `[]`,
			area.ClaimTopic("north", "gate-1x"): strings.Repeat("x", area.MaxControl+1),
		} {
			d.c.Publish(topic, 1, false, payload).Wait()
		}
		synctest.Wait()
		if got := h.service.Stats().Malformed - before; got != 4 {
			t.Errorf("%d malformed payloads counted, want 4", got)
		}
		d.step(turn.Wish{Prio: area.Normal})
		if d.turn.Phase() != turn.Playing {
			t.Errorf("a device without location is %s, want playing", d.turn.Phase())
		}
	})
}

// A device that said where it is is refused elsewhere and told where that is,
// and the area that it names is not made; one that did not is where it claims.
func TestClaimsInAnotherArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		h.device(t, "gate-1", "north", "1")
		heard := make(chan string, 8)
		c := h.Dial(t, "watch")
		c.Subscribe(area.GrantTopic("+"), 1, func(_ mqtt.Client, m mqtt.Message) { heard <- string(m.Payload()) }).Wait()
		claim := func(c mqtt.Client, in area.Name, d area.DeviceID, seq int) string {
			c.Publish(area.ClaimTopic(in, d), 1, false, fmt.Sprintf(
				`{"op":"want","boot":9,"mid":"m1","claim":1,"seq":%d,"prio":100,"dur_ms":5,"playing":false,"token":0}`, seq)).Wait()
			return <-heard
		}
		one := h.Dial(t, "gate-2")
		one.Publish(area.StatusTopic("gate-2"), 1, false, `{"v":1,"online":true,"boot":9,"conn":1,"mid":"m1","area":"north"}`).Wait()
		for i, in := range []area.Name{"south", "attic"} {
			if got := claim(one, in, "gate-2", i+1); !strings.Contains(got, `"op":"refused","boot":9,"mid":"m1","claim":1`) || !strings.Contains(got, `"reason":"not_member","area":"north"`) {
				t.Errorf("a member of north claims in %s: %s", in, got)
			}
		}
		two := h.Dial(t, "gate-3")
		for i, in := range []area.Name{"south", "cellar"} {
			if got := claim(two, in, "gate-3", i+1); !strings.Contains(got, `"op":"grant"`) {
				t.Errorf("a device that never said where it is claims in %s: %s", in, got)
			}
			if p, _ := h.roster.Player("gate-3"); p.Area != in {
				t.Errorf("it is in %s, want %s", p.Area, in)
			}
		}
		if got := fmt.Sprint(h.roster.Names()); got != "[cellar north south]" {
			t.Errorf("areas %s", got)
		}
	})
}

func TestADumbDeviceShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		c := h.Dial(t, "old-1")
		c.Publish(area.SetTopic("west", "old-1"), 1, false, "1").Wait()
		if b := h.busy(t, "west"); b.State != area.Held || *b.Holder != "old-1" {
			t.Fatalf("busy is %+v, want held by old-1 in an area that was seen", b)
		}
		if d, _ := h.roster.Player("old-1"); d.Via != area.ViaDumb {
			t.Errorf("old-1 is via %s", d.Via)
		}
		c.Publish(area.SetTopic("west", "old-1"), 1, false, "0").Wait()
		if b := h.busy(t, "west"); b.State != area.Idle {
			t.Errorf("after 0 busy is %s", b.State)
		}
		c.Publish(area.SetTopic("east", "old-1"), 1, false, "1").Wait()
		if b := h.busy(t, "east"); b.State != area.Held {
			t.Errorf("in another area that nobody has named it is %s", b.State)
		}
	})
}

func TestARemovedAreaLeavesNothingRetained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, newLedger(), true)
		if err := h.roster.Create(arbiter.AreaConfig{ID: "extra", Source: area.SourceAPI, Volume: -1}); err != nil {
			t.Fatal(err)
		}
		if b := h.busy(t, "extra"); b.State != area.Idle {
			t.Errorf("a new area is %s", b.State)
		}
		if err := h.roster.Remove("extra"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if list := h.Retained("tacet/area/extra/#", 0); len(list) != 0 {
			t.Errorf("retained after the removal: %v", list)
		}
	})
}
