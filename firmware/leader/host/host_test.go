package host

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
	"github.com/tacet-hub/tacet/firmware/leader/trunk"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

var silent = slog.New(slog.DiscardHandler)

// site is a hub of which only the trunk is there, and one device that can lead.
type site struct {
	t    *testing.T
	hub  *broker.Broker
	up   chan area.Trunk // what the leader says to the hub
	link *trunk.Link
	dir  string
	doc  area.Peers
	life string // of the hub
}

func newSite(t *testing.T) *site {
	t.Helper()
	b, err := broker.New(broker.Config{Addr: "127.0.0.1:0"}, silent)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, hub: b, up: make(chan area.Trunk, 1000), dir: t.TempDir(), life: "h1", doc: area.Peers{
		V: 1, Rev: 1, Area: "north", Name: "North Wing", Hub: "hub-1", Topology: area.TopologyLocal, Mode: area.ModeAvailable, Policy: area.PolicyStop,
		LeaseMs: 3000, Volume: 70, Key: make([]byte, area.AreaKeySize), Locations: []area.PeerPlace{{ID: "1", Name: "Gate 1"}},
		Members: []area.Member{{Device: "gate-1", MID: "m1", Index: 16, Addr: "127.0.0.1:7946"}, {Device: "gate-2", MID: "m2", Index: 17}},
	}}
	if _, err := b.Subscribe(area.TrunkUpTopic("gate-1"), func(m area.Message) {
		if u, err := area.ParseTrunk(m.Payload); err != nil {
			t.Errorf("trunk: %v", err)
		} else {
			s.up <- u
		}
	}); err != nil {
		t.Fatal(err)
	}
	if s.link, err = trunk.New(trunk.Config{Device: "gate-1", Uplink: uplink.Config{Hubs: []string{"mqtt://" + b.Addr().String()}}}, silent); err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	run(t, s.link.Run)
	return s
}

// run runs a part until the test ends, or the answered function is called.
func run(t *testing.T, part func(context.Context) error) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- part(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("a part ends with %v", err)
		}
	})
	return stop
}

// down says something as the hub.
func (s *site) down(u area.Trunk) {
	s.t.Helper()
	u.Area, u.Life = "north", s.life
	if err := s.hub.Publish(context.Background(), area.Message{Topic: area.TrunkDownTopic("gate-1"), Payload: u.Encode(), QoS: 1}); err != nil {
		s.t.Fatal(err)
	}
}

// hears waits for a message of the leader.
func (s *site) hears(op area.TrunkOp, is func(area.Trunk) bool) area.Trunk {
	s.t.Helper()
	for u := range s.up {
		if u.Op == op && (is == nil || is(u)) {
			return u
		}
	}
	return area.Trunk{}
}

// all waits for a message for each of the conditions, in whatever order they come.
func (s *site) all(conditions ...func(area.Trunk) bool) {
	s.t.Helper()
	for u := range s.up {
		conditions = slices.DeleteFunc(conditions, func(is func(area.Trunk) bool) bool { return is(u) })
		if len(conditions) == 0 {
			return
		}
	}
}

// answers has the hub answer everything that it is owed, until something is so.
func (s *site) answers(o *office, until func() bool) {
	s.t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !until() {
		select {
		case u := <-s.up:
			if u.Op == area.TrunkReport || u.Op == area.TrunkRecord || u.Op == area.TrunkOrder {
				s.down(area.Trunk{Op: area.TrunkGot, N: u.N})
			}
		case <-look.C:
		}
	}
}

// office is a host that leads, with what it tells the member.
type office struct {
	*Host
	addr  chan string
	terms chan uint64
	heard chan uint64
	ended chan error // by itself
	end   func() error
	quit  func() error // Run too
	rival chan uint64
	docs  chan []byte
	doc   chan area.Peers // another one comes
}

// leads makes a host, which has led before where its directory is not empty, and
// has it lead.
func (s *site) leads(floor uint64) *office {
	s.t.Helper()
	o := s.host()
	r := leader.Reign{
		Peers: s.doc, Term: floor, Changed: o.doc, Rivals: o.rival,
		Ready: func(addr, _ string, term uint64) { o.addr <- addr; o.terms <- term },
		Heard: func(term uint64) { o.heard <- term }, Document: func(b []byte) { o.docs <- b },
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.ended = make(chan error, 1)
	go func() { o.ended <- o.Lead(ctx, r); close(o.ended) }()
	o.end = sync.OnceValue(func() error { cancel(); return <-o.ended })
	quit := o.quit
	o.quit = func() error { return errors.Join(o.end(), quit()) }
	s.t.Cleanup(func() { _ = o.quit() })
	return o
}

// host makes a host and runs it.
func (s *site) host() *office {
	s.t.Helper()
	start := time.Now()
	h, err := New(Config{Device: "gate-1", Dir: s.dir, Listen: "127.0.0.1:0", Web: "127.0.0.1:0"}, Parts{
		Link: s.link, Renderer: second{}, Clock: func() area.Instant { return area.Instant(time.Since(start)) + 1 }, Now: time.Now, Log: silent,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	o := &office{Host: h, addr: make(chan string, 10), terms: make(chan uint64, 10), heard: make(chan uint64, 10), rival: make(chan uint64), docs: make(chan []byte, 10), doc: make(chan area.Peers)}
	stop := run(s.t, h.Run)
	o.quit = sync.OnceValue(func() error { return errors.Join(stop(), h.Close()) })
	s.t.Cleanup(func() { _ = o.quit() })
	return o
}

// second renders everything into a second.
type second struct{}

func (second) Duration(area.OrderRequest) (time.Duration, error) { return time.Second, nil }

// accepted has the hub accept the lead.
func (s *site) accepted() (term uint64) {
	s.t.Helper()
	u := s.hears(area.TrunkLead, nil)
	s.down(area.Trunk{Op: area.TrunkLed, Term: u.Term})
	s.hears(area.TrunkBusy, nil)
	return u.Term
}

// device is a device at a broker, that says what the test says.
type device struct {
	t      *testing.T
	id     area.DeviceID
	up     *uplink.Client
	heard  chan area.Answer
	offers chan area.Offer
	seq    uint64
}

func (s *site) device(addr string, id area.DeviceID, password string) *device {
	s.t.Helper()
	c, err := uplink.New(uplink.Config{Hubs: []string{"mqtt://" + addr}, ClientID: string(id), Username: string(id), Password: password}, silent)
	if err != nil {
		s.t.Fatal(err)
	}
	d := &device{t: s.t, id: id, up: c, heard: make(chan area.Answer, 1000), offers: make(chan area.Offer, 1000)}
	up := make(chan bool, 10)
	c.Watch(func(is bool, _ uint64, _ string) { up <- is })
	for filter, f := range map[string]func(area.Message){
		area.GrantTopic(id): func(m area.Message) {
			if a, err := area.ParseAnswer(m.Payload); err == nil {
				d.heard <- a
			}
		},
		area.WorkTopic(id): d.offered, area.AreaWorkTopic("north"): d.offered,
	} {
		if _, err := c.Subscribe(filter, f); err != nil {
			s.t.Fatal(err)
		}
	}
	run(s.t, c.Run)
	if !<-up {
		s.t.Fatal("not connected")
	}
	status := area.Status{Online: true, Boot: 1, Conn: 1, MID: "m-" + string(id), Area: "North Wing", Name: string(id), State: "idle"}
	d.publish(area.StatusTopic(id), status.Encode(), true)
	return d
}

func (d *device) offered(m area.Message) {
	if o, err := area.ParseOffer(m.Payload); err == nil {
		d.offers <- o
	}
}

func (d *device) publish(topic string, payload []byte, retain bool) {
	d.t.Helper()
	if err := d.up.Publish(context.Background(), area.Message{Topic: topic, Payload: payload, QoS: 1, Retain: retain}); err != nil {
		d.t.Fatal(err)
	}
}

// says says a claim, each refresh as devices do, until an answer of an op comes.
func (d *device) says(c area.Claim, op area.Op) area.Answer {
	d.t.Helper()
	first := d.seq + 1
	refresh := time.NewTicker(250 * time.Millisecond)
	defer refresh.Stop()
	for {
		d.seq++
		c.Boot, c.MID, c.Seq, c.Prio = 1, "m-"+string(d.id), d.seq, area.Normal
		d.publish(area.ClaimTopic("north", d.id), c.Encode(), false)
		for wait := true; wait; {
			select {
			case a := <-d.heard:
				if a.Op == op && (a.Ack >= first || op == area.OpAssigned) {
					return a
				}
			case <-refresh.C:
				wait = false
			}
		}
	}
}

// plays takes an offered work and plays it to the end.
func (d *device) plays(claim uint64) area.WorkID {
	d.t.Helper()
	o := <-d.offers
	d.says(area.Claim{Op: area.OpTake, Work: o.Work, Att: o.Att}, area.OpAssigned)
	g := d.says(area.Claim{Op: area.OpWant, Claim: claim, Work: o.Work, Att: o.Att}, area.OpGrant)
	d.says(area.Claim{Op: area.OpWant, Claim: claim, Work: o.Work, Att: o.Att, Playing: true, Token: g.Token}, area.OpGrant)
	d.says(area.Claim{Op: area.OpDone, Claim: claim, Work: o.Work, Att: o.Att, Token: g.Token, Result: area.Played, Sound: &area.Sound{AtMs: 30, FirstMs: 10, LastMs: 20}}, area.OpReleased)
	return o.Work
}

func TestLeaderServesItsAreaAndTheHubsDevices(t *testing.T) {
	s := newSite(t)
	o := s.leads(200)
	addr, term := <-o.addr, <-o.terms
	if term <= 200 || term%64 != 16 {
		t.Errorf("term %d is not above 200, or not of index 16", term)
	}
	if got := s.accepted(); got != term {
		t.Errorf("leads by term %d, says %d", got, term)
	}
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	s.all(func(u area.Trunk) bool {
		return u.Op == area.TrunkLead && slices.Contains(u.Serves, "gate-2") && u.Addr == addr && u.SettleMs <= 3250
	}, func(u area.Trunk) bool { return u.Op == area.TrunkStatus && u.Device == "gate-2" && u.Status.Online })
	g := d.says(area.Claim{Op: area.OpWant, Claim: 1, Dur: time.Second}, area.OpGrant)
	if g.Token.Term() != term || g.From != "gate-1" {
		t.Errorf("grant %+v", g)
	}
	s.all(func(u area.Trunk) bool {
		return u.Op == area.TrunkBusy && u.Busy.Holder != nil && *u.Busy.Holder == "gate-2"
	},
		func(u area.Trunk) bool { return u.Op == area.TrunkRecord }) // the grant
	// A device of the hub waits for its turn, and gets it.
	s.down(area.Trunk{Op: area.TrunkUp, Device: "web-1", Location: "1", Via: area.ViaSignalR})
	s.down(area.Trunk{Op: area.TrunkHeard, Device: "web-1", Claim: &area.Claim{Op: area.OpWant, Boot: 4, MID: "w", Claim: 1, Seq: 1, Prio: area.Normal}})
	s.hears(area.TrunkSay, func(u area.Trunk) bool {
		return u.Device == "web-1" && u.Answer.Op == area.OpQueued && u.Answer.Pos == 1
	})
	d.says(area.Claim{Op: area.OpDone, Claim: 1, Token: g.Token, Result: area.Played}, area.OpReleased)
	s.hears(area.TrunkSay, func(u area.Trunk) bool { return u.Device == "web-1" && u.Answer.Op == area.OpGrant })
	// What an operator asks of a device goes down, and nothing of it comes up again.
	asked := make(chan area.Message, 4)
	if _, err := d.up.Subscribe("tacet/device/gate-2/#", func(m area.Message) {
		if k := area.ParseTopic(m.Topic).Kind; k == area.KindCommand || k == area.KindPeers || string(m.Payload) == "99" {
			asked <- m
		}
	}); err != nil {
		t.Fatal(err)
	}
	d.publish("tacet/device/gate-2/tele/temperature", []byte("21.5"), false)
	tele := s.hears(area.TrunkTele, nil)
	if tele.Topic != "tacet/device/gate-2/tele/temperature" || string(tele.Payload) != "21.5" {
		t.Errorf("%+v", tele)
	}
	// Each topic has one direction: what goes up does not come down.
	s.down(area.Trunk{Op: area.TrunkCommand, Topic: "tacet/device/gate-2/tele/temperature", Payload: []byte("99")})
	s.down(area.Trunk{Op: area.TrunkCommand, Topic: "tacet/device/gate-2/cmd/identify"})
	s.down(area.Trunk{Op: area.TrunkCommand, Topic: area.BusyTopic("north"), Payload: []byte("{}")})
	s.down(area.Trunk{Op: area.TrunkCommand, Topic: area.PeersTopic("gate-2"), Payload: []byte("{}")})
	if m := <-asked; area.ParseTopic(m.Topic).Kind != area.KindCommand {
		t.Errorf("%+v", m)
	}
	if m := <-asked; m.Topic != area.PeersTopic("gate-2") {
		t.Errorf("%+v", m)
	}
	// A hub that was started anew hears everything again.
	s.life = "h2"
	s.down(area.Trunk{Op: area.TrunkLed, Term: term})
	s.hears(area.TrunkStatus, func(u area.Trunk) bool { return u.Device == "gate-2" })
	if err := o.end(); err != nil {
		t.Errorf("ends with %v", err)
	}
	s.hears(area.TrunkResign, nil)
	if o.Leads() || o.Stats().Dropped != 0 {
		t.Errorf("%+v", o.Stats())
	}
}

func TestWhoMayComeIn(t *testing.T) {
	s := newSite(t)
	s.doc.Credentials = []area.Credential{{Name: "bob", Hash: "no hash"}}
	o := s.leads(0)
	addr := <-o.addr
	for _, c := range []struct{ name, password string }{{"gate-2", "wrong"}, {"gate-3", leader.Secret(s.doc.Key, "gate-3")}, {"bob", "no hash"}, {"gate-2", leader.Secret(s.doc.Key, "gate-1")}} {
		try := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(c.name).SetUsername(c.name).SetPassword(c.password).SetConnectRetry(false)).Connect()
		try.Wait()
		if err := try.Error(); !errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword) && !errors.Is(err, packets.ErrorRefusedNotAuthorised) { // or slowed, by then
			t.Errorf("%s with %.8s: %v", c.name, c.password, try.Error())
		}
	}
	s.doc.Open = true
	if cfg := guests(s.doc, silent); !cfg.Empty() {
		t.Errorf("an open area has %+v", cfg)
	}
}

func TestWorkOfTheHubIsReportedOnce(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	s.accepted()
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	text := "boarding"
	hand := area.Handed{Work: "o-1", Prio: area.Normal, DurMs: 1000, TTLMs: 600_000, Body: area.Body{Kind: "announce", Message: &text, Repeat: 1}, Att: 1}
	for range 2 { // said twice, taken once
		s.down(area.Trunk{Op: area.TrunkSubmit, N: 7, Handed: &hand})
		if u := s.hears(area.TrunkSubmitted, nil); u.N != 7 || u.Work != "o-1" {
			t.Errorf("%+v", u)
		}
	}
	if w := d.plays(1); w != "o-1" {
		t.Fatalf("plays %s", w)
	}
	ended := func(u area.Trunk) bool { return u.Report.State.Ended() }
	first := s.hears(area.TrunkReport, ended)
	if first.Report.State != area.OrderPlayed || first.Report.Device != "gate-2" || first.Order != nil {
		t.Errorf("%+v", first.Report)
	}
	if again := s.hears(area.TrunkReport, ended); again.N != first.N || again.Report.AgoMs < first.Report.AgoMs {
		t.Errorf("then %+v, %+v", again, again.Report)
	}
	// It is not answered before the device is started again, and then it is.
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	o = s.host()
	end := s.hears(area.TrunkReport, ended)
	if end.Report.Work != "o-1" || end.Report.State != area.OrderPlayed {
		t.Errorf("after a restart %+v", end.Report)
	}
	s.answers(o, func() bool { return o.Stats().Owed == 0 })
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	if o = s.host(); o.Stats().Owed != 0 || o.works.len() != 0 || len(o.works.ended()) != 0 {
		t.Errorf("the hub knows, and yet %+v", o.Stats())
	}
}

func TestWorksOfTheHubAreGoneOnWithWhereNobodyLedSince(t *testing.T) {
	for name, c := range map[string]struct {
		above uint64
		want  int
	}{"nobody": {0, 1}, "somebody": {1, 0}} {
		s := newSite(t)
		o := s.leads(0)
		<-o.addr
		term := s.accepted()
		s.down(area.Trunk{Op: area.TrunkSubmit, N: 1, Handed: &area.Handed{Work: "o-1", Prio: area.Normal, DurMs: 1000, TTLMs: -1, Body: area.Body{Kind: "announce"}, Att: 1}})
		s.hears(area.TrunkSubmitted, nil)
		if err := o.quit(); err != nil {
			t.Fatal(err)
		}
		o = s.leads(term + c.above)
		<-o.addr
		if n := o.works.len(); n != c.want {
			t.Errorf("%s led since: %d works", name, n)
		}
		if err := o.quit(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOrderOfOurOwnReachesTheHubOnce(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	// The hub does not answer: the area is on its own.
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	d.publish(area.SubmitTopic("north"), []byte(`{"work":"w-9","dur_ms":1000,"body":{"message":"fire drill"}}`), false)
	if w := d.plays(1); w != "w-9" || !o.CutOff() {
		t.Fatalf("plays %s, cut off %v", w, o.CutOff())
	}
	u := s.hears(area.TrunkReport, nil)
	if u.Order == nil || u.Order.ID != "w-9" || u.Order.State != area.OrderPlayed || *u.Order.Message != "fire drill" || u.Report.Work != "w-9" {
		t.Fatalf("%+v", u)
	}
	s.answers(o, func() bool { return o.own.knows("w-9") == toldEnd && o.Stats().Owed == 0 }) // the record of what sounded too
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	if o = s.host(); o.Stats().Owed != 0 {
		t.Errorf("told again: %+v", o.Stats())
	}
}

func TestOrderWithoutAnEndIsHandedToTheHub(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	<-o.addr
	s.hears(area.TrunkLead, nil)
	if err := o.Submit(t.Context(), area.Submit{Work: "w-9", Body: []byte(`{"message":"later"}`)}); err != nil {
		t.Fatal(err)
	}
	if err := o.end(); err != nil {
		t.Fatal(err)
	}
	if err := o.Submit(t.Context(), area.Submit{Work: "w-10"}); area.CodeOf(err) != area.CodeDegraded {
		t.Errorf("taken by who does not lead: %v", err)
	}
	u := s.hears(area.TrunkReport, nil)
	if u.Order == nil || u.Order.ID != "w-9" || u.Order.State.Ended() || u.Handed == nil || u.Handed.Work != "w-9" || *u.Handed.Body.Message != "later" {
		t.Fatalf("%+v", u)
	}
	if live := o.own.Live(); len(live) != 0 {
		t.Errorf("a reign would go on with %+v", live)
	}
	s.answers(o, func() bool { return o.Stats().Owed == 0 })
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	if o = s.host(); len(o.own.Durable.Live()) != 0 || o.Stats().Owed != 0 {
		t.Errorf("still there after the hub has it")
	}
}

func TestRefusals(t *testing.T) {
	for reason, want := range map[string]error{area.TrunkHubLeads: leader.ErrHubLeads, area.TrunkNotMember: ErrNotMember, area.TrunkOtherLeads: ErrOtherLeads} {
		s := newSite(t)
		o := s.leads(0)
		s.hears(area.TrunkLead, nil)
		s.down(area.Trunk{Op: area.TrunkRefused, Reason: reason, Term: 640})
		if term := <-o.heard; term != 640 {
			t.Errorf("%s: heard %d", reason, term)
		}
		if err := <-o.ended; !errors.Is(err, want) || o.Stats().Refused != 1 {
			t.Errorf("%s ends the reign with %v", reason, err)
		}
	}
	s := newSite(t)
	o := s.leads(0)
	low := s.hears(area.TrunkLead, nil).Term
	s.down(area.Trunk{Op: area.TrunkRefused, Reason: area.TrunkTermLow, Term: 640})
	u := s.hears(area.TrunkLead, func(u area.Trunk) bool { return u.Term != low })
	if u.Term <= 640 || u.Term%64 != 16 || u.SettleMs == 0 {
		t.Errorf("leads again with %+v", u)
	}
	if <-o.terms; <-o.terms != u.Term {
		t.Error("the member is not told of the new term")
	}
	o.rival <- 1000
	if u := s.hears(area.TrunkLead, func(u area.Trunk) bool { return u.Term > 1000 }); u.SettleMs == 0 {
		t.Errorf("beside a rival %+v", u)
	}
}

func TestTheRosterDocumentOfTheHubIsHandedOn(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	s.accepted()
	if err := s.hub.Publish(t.Context(), area.Message{Topic: area.PeersTopic("gate-1"), Payload: []byte("document"), QoS: 1}); err != nil {
		t.Fatal(err)
	}
	if b := <-o.docs; string(b) != "document" {
		t.Errorf("%s", b)
	}
}

func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := newSite(t)
	o := s.host()
	o.cfg.Listen = l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	addr := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- o.Lead(ctx, leader.Reign{Peers: s.doc, Ready: func(a, _ string, _ uint64) { addr <- a }, Heard: func(uint64) {}, Document: func([]byte) {}})
	}()
	if a := <-addr; a == l.Addr().String() {
		t.Errorf("ready at %s, which is taken", a)
	}
	if err := o.Lead(ctx, leader.Reign{Peers: s.doc}); err == nil {
		t.Error("leads twice")
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := o.Lead(t.Context(), leader.Reign{Peers: area.Peers{Area: "north"}}); err == nil {
		t.Error("leads without being a member")
	}
}

// The hub has the end of a work that is gone on with here: nobody plays it any more.
func TestWorkThatHasEndedAtTheHub(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	s.accepted()
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	s.down(area.Trunk{Op: area.TrunkSubmit, N: 1, Handed: &area.Handed{Work: "o-1", Prio: area.Normal, DurMs: 1000, TTLMs: -1, Body: area.Body{Kind: "announce"}, Att: 1, Maybe: true}})
	w := <-d.offers
	d.says(area.Claim{Op: area.OpTake, Work: w.Work, Att: w.Att}, area.OpAssigned)
	s.down(area.Trunk{Op: area.TrunkStored, Work: "o-1"})
	for o.works.len() != 0 {
		runtime.Gosched()
	}
	if a := d.says(area.Claim{Op: area.OpWant, Claim: 1, Work: "o-1", Att: 1}, area.OpRefused); a.Work != "o-1" {
		t.Errorf("wanted all the same: %+v", a)
	}
	s.down(area.Trunk{Op: area.TrunkSubmit, N: 2, Handed: &area.Handed{Work: "o-2", Prio: area.Normal, DurMs: 1000, TTLMs: -1, Body: area.Body{Kind: "announce"}, Att: 1}})
	for n := range d.offers {
		if n.Work == "o-2" {
			break
		}
	}
	if n := o.Stats(); n.Works != 1 {
		t.Errorf("%+v", n)
	}
}
