package devicehub_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/replay"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/order"
)

// site is a hub with its broker, arbiter and orders, all real, in a bubble.
type site struct {
	*devicehub.Hub
	t       *testing.T
	broker  *brokertest.Broker
	arbiter *arbiter.Service
	roster  *arbiter.Roster
	orders  *order.Service
	pipe    *signalrtest.Pipe
	sent    []string // what went to the mirror
	clips   []string // what was uploaded
	stop    func()   // in good order
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

type ledger struct{}

func (ledger) Load(area.Name) ([]byte, error)                     { return nil, nil }
func (ledger) Commit(_ area.Name, _ []byte, done func(err error)) { done(nil) }

// announcer is the order service as the hub sees it.
type announcer struct{ *order.Service }

func (a announcer) Announce(ctx context.Context, req area.OrderRequest, who string, may func(area.Name) error) (area.Accepted, error) {
	o, err := a.Accept(ctx, req, order.By{Who: who, May: may})
	return area.Accepted{ID: o.ID, State: o.State}, err
}

func (a announcer) StopArea(ctx context.Context, in area.Name) (any, error) {
	return a.Service.StopArea(ctx, in, true)
}

func (a announcer) StopAll(ctx context.Context) (any, error) { return a.Service.StopAll(ctx, true) }

// view shows the roster's areas.
type view struct{ *arbiter.Roster }

func (v view) Join(name area.Name, join func(string)) (area.Area, bool) {
	join(v.GroupOf(name))
	return v.Area(name)
}

func (v view) JoinAll(join func(string)) []area.Area {
	join(v.GroupAll())
	return v.Areas()
}

func (v view) GroupOf(name area.Name) string { return string(area.AreaGroup(name)) }
func (v view) GroupAll() string              { return "area:*" }

func (s *site) GroupSent(from string, g area.Group, event string, args []byte) {
	s.sent = append(s.sent, string(g)+" "+event+" "+string(args))
}

// newSite is a hub that is alone, or, by with, a node of several.
func newSite(t *testing.T, with ...func(*signalr.Config, *devicehub.Config, *devicehub.Parts)) *site {
	t.Helper()
	log, start := slog.New(slog.DiscardHandler), time.Now()
	clock := func() area.Instant { return area.Instant(time.Since(start)) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &site{t: t, broker: brokertest.New(t)}
	var err error
	s.roster, err = arbiter.NewRoster(arbiter.RosterConfig{Node: "hub-1", Areas: []arbiter.AreaConfig{
		{ID: "north", Name: "North Wing", Volume: -1, Locations: []arbiter.Place{{ID: "1"}, {ID: "2"}}}, {ID: "south", Volume: -1},
	}}, time.Now)
	must(err)
	s.arbiter, err = arbiter.New(arbiter.Config{Node: "hub-1", ColdStart: true}, s.broker, ledger{}, links{s.broker}, s.roster, clock, time.Now, log)
	must(err)
	s.orders, err = order.New(order.Config{}, order.NewMemory(0), s.roster, s.arbiter, order.Speech{}, time.Now, log)
	must(err)
	past, err := replay.New(replay.Config{}, time.Now)
	must(err)
	hub, cfg := signalr.Config{Authenticate: authenticate, History: past}, devicehub.Config{Node: "hub-1"}
	parts := devicehub.Parts{
		Bus: s.broker, Arbiter: s.arbiter, Roster: s.roster, Orders: announcer{s.orders}, View: view{s.roster}, Mirror: s, Who: connected,
		Clips: uploads{s}, Streams: streams{}, Past: past, Clock: clock, Now: time.Now,
	}
	for _, f := range with {
		f(&hub, &cfg, &parts)
	}
	server, err := signalr.New(hub, log)
	must(err)
	parts.Server = server
	s.Hub, err = devicehub.New(cfg, parts, log)
	must(err)
	s.pipe = signalrtest.NewPipe(server)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{
		s.Hub.Run, server.Run, s.orders.Run, func(ctx context.Context) error { return s.arbiter.Run(ctx, s.orders) },
	} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	s.stop = sync.OnceFunc(func() { cancel(); wg.Wait(); _ = s.pipe.Close() })
	t.Cleanup(s.stop)
	synctest.Wait()
	return s
}

// program is a classic program; it notes what it is told.
type program struct {
	*signalrtest.Client
	mu   sync.Mutex
	told []string
}

func (s *site) program(device, in string, at any) *program {
	s.t.Helper()
	c, err := signalrtest.Dial(s.t.Context(), "http://hub/hubs/devices", signalrtest.Options{NetDial: s.pipe.Dial})
	if err != nil {
		s.t.Fatal(err)
	}
	p := &program{Client: c}
	s.t.Cleanup(func() { _ = c.Close() })
	for _, event := range []string{"ReceiveWork", "ReceiveWorkStatus"} {
		c.On(event, func(args []json.RawMessage) {
			p.mu.Lock()
			defer p.mu.Unlock()
			text := event
			for _, a := range args {
				text += " " + string(a)
			}
			p.told = append(p.told, text)
		})
	}
	if device != "" {
		if _, err := c.Invoke(s.t.Context(), "ReceiveDeviceConnected", device, in, at); err != nil {
			s.t.Fatalf("%s: %v", device, err)
		}
	}
	synctest.Wait()
	return p
}

// heard is what the program was told since the last call.
func (p *program) heard() string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.told = nil }()
	return strings.Join(p.told, ", ")
}

// call starts BroadcastWorkStatus(area, true); the channel gets its end.
func (p *program) call(t *testing.T, in string) <-chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := p.Invoke(context.Background(), "BroadcastWorkStatus", in, true)
		done <- err
	}()
	synctest.Wait()
	return done
}

func ended(c <-chan error) (error, bool) {
	synctest.Wait()
	select {
	case err := <-c:
		return err, true
	default:
		return nil, false
	}
}

func TestClassicProgramsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.program("gate-1", "North Wing", 1), s.program("gate-2", "north", "2")
		if got := a.heard() + "; " + b.heard(); got != "ReceiveWorkStatus false; ReceiveWorkStatus false" {
			t.Errorf("at registration: %s", got)
		}
		first, second := a.call(t, "North Wing"), b.call(t, "north")
		if err, ok := ended(first); !ok || err != nil {
			t.Fatalf("the first claim: ended %v, %v", ok, err)
		}
		if _, ok := ended(second); ok {
			t.Fatal("both claims were granted")
		}
		if got := a.heard() + "; " + b.heard(); got != "; ReceiveWorkStatus true" {
			t.Errorf("while gate-1 has it: %s", got)
		}
		time.Sleep(45 * time.Second) // longer than any lease: a hold has none
		if _, ok := ended(second); ok {
			t.Fatal("the second claim was granted while the first one plays")
		}
		if _, err := a.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Fatal(err)
		}
		if err, ok := ended(second); !ok || err != nil {
			t.Fatalf("after the release: ended %v, %v", ok, err)
		}
		if got := a.heard() + "; " + b.heard(); got != "ReceiveWorkStatus true; ReceiveWorkStatus false" {
			t.Errorf("after the hand-over: %s", got)
		}
	})
}

func TestClassicClaimTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.program("gate-1", "north", 1), s.program("gate-2", "north", 2)
		<-a.call(t, "north")
		begin := time.Now()
		err := <-b.call(t, "north")
		if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), "HubException: timeout: ") || took != 60*time.Second {
			t.Errorf("after %s: %v, want timeout after 60 s", took, err)
		}
		if s.Stats().Timeouts != 1 {
			t.Errorf("%d timeouts counted", s.Stats().Timeouts)
		}
	})
}

func TestClassicWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.program("gate-1", "north", 1), s.program("gate-2", "north", 2)
		a.heard()
		b.heard()
		raw, err := b.Invoke(t.Context(), "Announce", map[string]any{"to": map[string]string{"location": "1"}, "message": "hello there"})
		if err != nil {
			t.Fatal(err)
		}
		var acc area.Accepted
		if err := json.Unmarshal(raw, &acc); err != nil {
			t.Fatal(err)
		}
		if got := a.heard() + "; " + b.heard(); got != "ReceiveWork; " {
			t.Fatalf("told: %s, want ReceiveWork without an argument to gate-1 alone", got)
		}
		var o area.Order
		if raw, err := a.Invoke(t.Context(), "GetWork"); err != nil || json.Unmarshal(raw, &o) != nil || o.ID != acc.ID || *o.Message != "hello there" {
			t.Errorf("GetWork: %s %v", raw, err)
		}
		if raw, err := b.Invoke(t.Context(), "GetWork"); err != nil || string(raw) != "null" {
			t.Errorf("GetWork of the other: %s %v, want null", raw, err)
		}
		<-a.call(t, "north")
		synctest.Wait()
		if o, _ := s.orders.Get(acc.ID); o.State != area.OrderPlaying {
			t.Errorf("while it sounds the order is %s", o.State)
		}
		time.Sleep(2 * time.Second)
		if _, err := a.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if o, _ := s.orders.Get(acc.ID); o.State != area.OrderPlayed || *o.Device != "gate-1" {
			t.Errorf("at the end the order is %s by %v", o.State, o.Device)
		}
	})
}

// A classic program knows no downloads: it would sound one.
func TestClassicDevicesBringNoClips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a := s.program("gate-1", "north", 1)
		a.heard()
		o := area.Offer{Work: "o-1", Att: 1, TTL: time.Minute, Body: area.Body{Kind: area.KindDownload, Clip: new("sha256:12")}}
		for _, topic := range []string{area.WorkTopic("gate-1"), area.AreaWorkTopic("north")} {
			if err := s.broker.Publish(t.Context(), area.Message{Topic: topic, Payload: o.Encode(), QoS: 1, From: area.FromArbiter}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		if got := a.heard(); got != "" {
			t.Errorf("it was told %q", got)
		}
	})
}

func TestClassicWorkThatNobodyFollowsGoesToAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.program("gate-1", "north", 1), s.program("gate-2", "north", 2)
		a.heard()
		b.heard()
		o, err := s.orders.Accept(t.Context(), request("1", "anybody there"), order.By{})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.heard(); got != "ReceiveWork" {
			t.Fatalf("gate-1 was told %q", got)
		}
		time.Sleep(15 * time.Second) // lease + 3 s without a word, then the area is asked
		if got := b.heard(); got != "ReceiveWork" {
			t.Errorf("gate-2 was told %q, want the work that gate-1 did not do", got)
		}
		<-b.call(t, "north")
		if _, err := b.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, _ := s.orders.Get(o.ID); got.State != area.OrderPlayed || *got.Device != "gate-2" || got.Attempt != 2 {
			t.Errorf("the order is %s, attempt %d", got.State, got.Attempt)
		}
		if s.Stats().Unclaimed == 0 {
			t.Error("the unclaimed work was not counted")
		}
	})
}

func TestClassicWorkComesBackToTheOnlyDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a := s.program("gate-1", "north", 1)
		a.heard()
		o, err := s.orders.Accept(t.Context(), request("1", "second chance"), order.By{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(17 * time.Second) // lease + 3 s without a word, and a while for others
		if got := a.heard(); got != "ReceiveWork, ReceiveWork" {
			t.Fatalf("gate-1 was told %q", got)
		}
		<-a.call(t, "north")
		if _, err := a.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got, _ := s.orders.Get(o.ID); got.State != area.OrderPlayed || got.Attempt != 2 {
			t.Errorf("the order is %s, attempt %d", got.State, got.Attempt)
		}
	})
}

func request(location, message string) area.OrderRequest {
	return area.OrderRequest{To: area.To{Location: &location}, Message: &message}
}

func TestAHoldOutlivesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.program("gate-1", "north", 1), s.program("gate-2", "north", 2)
		<-a.call(t, "north")
		a.Drop()
		second := b.call(t, "north")
		time.Sleep(20 * time.Second)
		if _, ok := ended(second); ok {
			t.Fatal("a lost connection gave the area away while the program may still play")
		}
		if d, _ := s.roster.Player("gate-1"); d.Presence != area.Offline {
			t.Errorf("gate-1 is %s, want offline", d.Presence)
		}
		back := s.program("gate-1", "north", 1)
		if got := back.heard(); got != "ReceiveWorkStatus false" {
			t.Errorf("back with its hold, it was told %q", got)
		}
		if _, err := back.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Fatal(err)
		}
		if err, ok := ended(second); !ok || err != nil {
			t.Errorf("after the release: ended %v, %v", ok, err)
		}
	})
}

// What a connection says counts only while it is the one of its device.
func TestTheNewestConnectionSpeaksForADevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := s.program("gate-1", "north", 1)
		now := s.program("gate-1", "north", 1)
		<-now.call(t, "north")
		if _, err := old.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Errorf("false of the old connection: %v", err)
		}
		synctest.Wait()
		if b, _ := s.arbiter.Busy("north"); b.State != area.Held {
			t.Errorf("after false of the old connection the area is %s, want held", b.State)
		}
		if err := <-old.call(t, "north"); err == nil || !strings.Contains(err.Error(), "not_registered") {
			t.Errorf("true of the old connection: %v", err)
		}
		// One connection is one device: the newest that it registered.
		if _, err := now.Invoke(t.Context(), "ReceiveDeviceConnected", "gate-2", "north", 2); err != nil {
			t.Fatal(err)
		}
		if p, _ := s.roster.Player("gate-1"); p.Presence != area.Offline {
			t.Errorf("gate-1 is %s after its connection became gate-2", p.Presence)
		}
		if err, ok := ended(now.call(t, "north")); ok {
			t.Errorf("gate-2 did not wait for the hold of gate-1: %v", err)
		}
	})
}

func TestAHoldPastItsTimeIsAnIntrusionAndNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.program("gate-1", "north", 1), s.program("gate-2", "north", 2)
		<-a.call(t, "north")
		second := b.call(t, "north")
		time.Sleep(59 * time.Second)
		_ = b.call(t, "north") // keeps waiting when the first call has timed out
		time.Sleep(59 * time.Second)
		if _, ok := ended(second); !ok {
			t.Error("a claim waited longer than 60 s")
		}
		third := b.call(t, "north")
		time.Sleep(30 * time.Second) // the hold of unknown length ends at 120 s
		if err, ok := ended(third); !ok || err != nil {
			t.Errorf("after the hold's time: ended %v, %v", ok, err)
		}
		c := s.arbiter.Stats()
		if c.Intruders != 1 || c.Conflicts > 1 {
			t.Errorf("%d intrusions, %d conflicts, want one intrusion", c.Intruders, c.Conflicts)
		}
	})
}

func TestALostWaiterLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b, c := s.program("gate-1", "north", 1), s.program("gate-2", "north", 2), s.program("gate-3", "north", "")
		<-a.call(t, "north")
		_ = b.call(t, "north")
		third := c.call(t, "north")
		b.Drop()
		synctest.Wait()
		if _, err := a.Invoke(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Fatal(err)
		}
		if err, ok := ended(third); !ok || err != nil {
			t.Errorf("the one behind a lost waiter: ended %v, %v", ok, err)
		}
	})
}

func TestCallsWithoutIDAreADumbDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.program("gate-1", "north", 1), s.program("gate-2", "north", 2)
		a.heard()
		b.heard()
		if err := a.Send(t.Context(), "BroadcastWorkStatus", "north", true); err != nil {
			t.Fatal(err)
		}
		if got := b.heard(); got != "ReceiveWorkStatus true" {
			t.Errorf("the other was told %q", got)
		}
		if err := a.Send(t.Context(), "BroadcastWorkStatus", "north", false); err != nil {
			t.Fatal(err)
		}
		if got := b.heard(); got != "ReceiveWorkStatus false" {
			t.Errorf("then %q", got)
		}
	})
}

func TestWhatTheHubRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		stranger, gate := s.program("", "", nil), s.program("gate-1", "north", 1)
		cases := []struct {
			name string
			who  *program
			call string
			args []any
			want string
		}{
			{"claim before registration", stranger, "BroadcastWorkStatus", []any{"north", true}, "not_registered: "},
			{"work before registration", stranger, "GetWork", nil, "not_registered: "},
			{"claim in an unknown area", gate, "BroadcastWorkStatus", []any{"moon", true}, "unknown_area: "},
			{"claim in another area", gate, "BroadcastWorkStatus", []any{"south", true}, "conflict: "},
			{"device id", stranger, "ReceiveDeviceConnected", []any{"gate 1", "north", 1}, "invalid: "},
			{"location", stranger, "ReceiveDeviceConnected", []any{"gate-9", "north", []int{1}}, "invalid: "},
			{"area of an order", stranger, "Announce", []any{map[string]any{"to": map[string]string{"area": "moon"}, "message": "x"}}, "unknown_area: "},
			{"field of an order", stranger, "Announce", []any{map[string]any{"to": map[string]string{"area": "north"}, "message": "x", "colour": 1}}, "bad_request: "},
			{"order to cancel", stranger, "CancelOrder", []any{"o-none"}, "not_found: "},
			{"area to join", stranger, "JoinArea", []any{"moon"}, "unknown_area: "},
			{"group of a user", stranger, "JoinGroup", []any{"user:ann"}, "forbidden: "},
			{"group's name", stranger, "JoinGroup", []any{"a b"}, "invalid: "},
			{"group of an unknown area", stranger, "SendToGroup", []any{"area:moon", "X"}, "unknown_area: "},
			{"event's name", stranger, "SendToGroup", []any{"g", "a/b"}, "invalid: "},
			{"scope", stranger, "GetPresence", []any{"everybody"}, "invalid: "},
		}
		for _, c := range cases {
			_, err := c.who.Invoke(t.Context(), c.call, c.args...)
			if err == nil || !strings.Contains(err.Error(), "HubException: "+c.want) {
				t.Errorf("%s: got %v, want %s", c.name, err, c.want)
			}
		}
		if _, err := stranger.Invoke(t.Context(), "Echo"); err == nil || strings.Contains(err.Error(), "HubException") {
			t.Errorf("wrong number of arguments: %v", err)
		}
	})
}

func TestGroupsAndPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		gate, page := s.program("gate-1", "north", 1), s.program("", "", nil)
		got := make(chan string, 4)
		page.On("Alarm", func(args []json.RawMessage) { got <- string(args[0]) })
		var at struct {
			Epoch  string
			Offset uint64
			Gap    bool
		}
		join := func(args ...any) {
			t.Helper()
			raw, err := page.Invoke(t.Context(), "JoinGroup", args...)
			if err != nil || json.Unmarshal(raw, &at) != nil {
				t.Fatalf("join: %s %v", raw, err)
			}
		}
		join("alarms")
		if at.Epoch == "" || at.Offset != 0 || at.Gap {
			t.Errorf("joined at %+v", at)
		}
		if _, err := gate.Invoke(t.Context(), "SendToGroup", "alarms", "Alarm", map[string]int{"level": 3}); err != nil {
			t.Fatal(err)
		}
		if m := <-got; m != `{"level":3}` {
			t.Errorf("the group heard %s", m)
		}
		if len(s.sent) != 1 || s.sent[0] != `alarms Alarm [{"level":3}]` {
			t.Errorf("mirrored: %q", s.sent)
		}
		join("alarms", map[string]any{"epoch": at.Epoch, "offset": 0})
		if m := <-got; at.Offset != 1 || at.Gap || m != `{"level":3}` {
			t.Errorf("joined again at %+v and heard %s, want offset 1, no gap, and the alarm again", at, m)
		}
		list, err := s.Presence(auth.Anonymous(), "area:North Wing")
		if err != nil || len(list) != 1 || list[0].Device == nil || *list[0].Device != "gate-1" || list[0].Node != "hub-1" {
			t.Errorf("members of north: %+v %v", list, err)
		}
		if list, _ := s.Presence(auth.Anonymous(), "tenant"); len(list) != 2 {
			t.Errorf("%d connections, want 2", len(list))
		}
		raw, err := page.Invoke(t.Context(), "Echo", map[string]any{"a": []int{1, 2}})
		if err != nil || string(raw) != `{"a":[1,2]}` {
			t.Errorf("echo: %s %v", raw, err)
		}
		raw, err = page.Invoke(t.Context(), "JoinArea", "*")
		var all []area.Area
		if err != nil || json.Unmarshal(raw, &all) != nil || len(all) != 2 {
			t.Errorf("JoinArea(*): %s %v", raw, err)
		}
	})
}

func TestCancelAndStopOverTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		page := s.program("", "", nil)
		o, err := s.orders.Accept(t.Context(), request("1", "never"), order.By{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := page.Invoke(t.Context(), "CancelOrder", o.ID); err != nil {
			t.Fatal(err)
		}
		if got, _ := s.orders.Get(o.ID); got.State != area.OrderCancelled || *got.Reason != area.EndUser {
			t.Errorf("the order is %s", got.State)
		}
		if _, err := page.Invoke(t.Context(), "CancelOrder", o.ID); err == nil || !strings.Contains(err.Error(), "ended: ") {
			t.Errorf("cancelled twice: %v", err)
		}
		o, _ = s.orders.Accept(t.Context(), request("2", "never"), order.By{})
		raw, err := page.Invoke(t.Context(), "StopArea", "North Wing")
		if err != nil || !strings.Contains(string(raw), string(o.ID)) {
			t.Errorf("stop: %s %v", raw, err)
		}
		if _, err := page.Invoke(t.Context(), "StopAll"); err != nil {
			t.Error(err)
		}
	})
}
