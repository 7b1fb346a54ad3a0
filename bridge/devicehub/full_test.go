package devicehub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/order"
)

// player is a device of the full calls.
type player struct {
	*program
	t    *testing.T
	in   string
	boot uint64
}

// connect is a connection that has registered nothing yet.
func (s *site) connect() *program {
	s.t.Helper()
	p := s.program("", "", nil)
	for _, event := range []string{"WorkOffered", "Revoked"} {
		p.On(event, func(args []json.RawMessage) {
			p.mu.Lock()
			defer p.mu.Unlock()
			text := event
			for _, a := range args {
				var o area.Offer
				if event == "WorkOffered" {
					o, _ = area.ParseOffer(a)
					a = json.RawMessage(fmt.Sprint(o.Att))
				}
				text += " " + string(a)
			}
			p.told = append(p.told, text)
		})
	}
	return p
}

func (s *site) player(device, in string, boot uint64, mid string) *player {
	s.t.Helper()
	p := &player{program: s.connect(), t: s.t, in: in}
	p.register(device, boot, mid)
	return p
}

func (p *player) register(device string, boot uint64, mid string) {
	p.t.Helper()
	var w struct {
		Boot    uint64 `json:"boot"`
		LeaseMs int64  `json:"lease_ms"`
		Term    uint64 `json:"term"`
	}
	raw, err := p.Invoke(p.t.Context(), "Register", map[string]any{"device": device, "area": p.in, "location": nil, "boot": boot, "mid": mid, "capabilities": []string{"x"}})
	if err != nil || json.Unmarshal(raw, &w) != nil || w.Boot == 0 || w.LeaseMs != 6000 || w.Term == 0 {
		p.t.Fatalf("Register: %s, %v", raw, err)
	}
	p.boot = w.Boot
}

type grantAnswer struct {
	Token area.Token `json:"token"`
	Claim uint64     `json:"claim"`
	err   error
}

// claim starts Claim; the channel gets its answer.
func (p *player) claim(ctx context.Context, n int, more ...any) <-chan grantAnswer {
	req := map[string]any{"claim": n, "dur_ms": 4000}
	for i := 0; i+1 < len(more); i += 2 {
		req[more[i].(string)] = more[i+1]
	}
	out := make(chan grantAnswer, 1)
	go func() {
		var g grantAnswer
		raw, err := p.Invoke(ctx, "Claim", p.in, req)
		if g.err = err; err == nil {
			g.err = json.Unmarshal(raw, &g)
		}
		out <- g
	}()
	synctest.Wait()
	return out
}

// got is the answer that is there by now.
func got(t *testing.T, c <-chan grantAnswer) grantAnswer {
	t.Helper()
	synctest.Wait()
	select {
	case g := <-c:
		return g
	default:
		t.Fatal("not granted")
		return grantAnswer{}
	}
}

func (p *player) renew(token area.Token) (leaseMs int64, err error) {
	p.t.Helper()
	raw, err := p.Invoke(p.t.Context(), "Renew", p.in, token)
	if err != nil {
		return 0, err
	}
	var l struct {
		LeaseMs int64 `json:"lease_ms"`
	}
	err = json.Unmarshal(raw, &l)
	return l.LeaseMs, err
}

func (p *player) done(token area.Token, result string, sound ...any) {
	p.t.Helper()
	if _, err := p.Invoke(p.t.Context(), "Done", append([]any{p.in, token, result}, sound...)...); err != nil {
		p.t.Errorf("Done: %v", err)
	}
}

func says(err error, code string) bool {
	return err != nil && strings.Contains(err.Error(), "HubException: "+code+": ")
}

// TestFullCallsTakeTurns: two devices of the full calls and a classic program, one
// after the other; a lease that is renewed goes on, and one that is not ends.
func TestFullCallsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b, c := s.player("gate-1", "north", 7, "m1"), s.player("gate-2", "north", 0, ""), s.program("gate-3", "north", nil)
		first := got(t, a.claim(t.Context(), 1))
		if first.err != nil || first.Claim != 1 || first.Token == 0 {
			t.Fatalf("%+v", first)
		}
		second := b.claim(t.Context(), 1)
		third := c.call(t, "north")
		for range 10 {
			if lease, err := a.renew(first.Token); err != nil || lease != 6000 {
				t.Fatalf("Renew: %d, %v", lease, err)
			}
			time.Sleep(3 * time.Second)
		}
		select {
		case g := <-second:
			t.Fatalf("granted beside a lease that is renewed: %+v", g)
		default:
		}
		a.done(first.Token, "played", map[string]int{"at_ms": 40_000, "first_ms": 10_000, "last_ms": 39_999})
		a.done(first.Token, "played") // again
		if _, err := a.renew(first.Token); !says(err, "revoked") {
			t.Errorf("Renew after Done: %v", err)
		}
		g := got(t, second)
		if g.err != nil || g.Token <= first.Token {
			t.Fatalf("%+v after %+v", g, first)
		}
		// It never renews: the first lease ends by itself.
		time.Sleep(3750 * time.Millisecond)
		if err, ok := ended(third); !ok || err != nil {
			t.Errorf("the classic program after a lease without a renewal: %v, %v", ok, err)
		}
		if _, err := b.renew(g.Token); !says(err, "revoked") {
			t.Errorf("Renew after the lease: %v", err)
		}
	})
}

// TestFullCallsWork: a work is offered to everybody, one takes it, and its end is
// the order's.
func TestFullCallsWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.player("gate-1", "south", 1, "m1"), s.player("gate-2", "south", 1, "m2")
		o, err := s.orders.Accept(t.Context(), area.OrderRequest{To: area.To{Area: new("south")}, Message: new("hello there")}, order.By{})
		if err != nil {
			t.Fatal(err)
		}
		if told := a.heard() + "; " + b.heard(); told != "WorkOffered 1; WorkOffered 1" {
			t.Fatalf("told: %s", told)
		}
		var w struct {
			Work  area.WorkID `json:"work"`
			Att   int         `json:"att"`
			DurMs int64       `json:"dur_ms"`
			Prio  int         `json:"prio"`
			Body  area.Body   `json:"body"`
		}
		raw, err := a.Invoke(t.Context(), "TakeWork", o.ID)
		if err != nil || json.Unmarshal(raw, &w) != nil || w.Work != o.ID || w.Att != 1 || w.DurMs <= 0 || w.Prio != int(area.Normal) || *w.Body.Message != "hello there" {
			t.Fatalf("TakeWork: %s, %v", raw, err)
		}
		if _, err := b.Invoke(t.Context(), "TakeWork", o.ID); !says(err, "taken") {
			t.Errorf("TakeWork of the other: %v", err)
		}
		if _, err := b.Invoke(t.Context(), "TakeWork", "o-unknown"); !says(err, "expired") {
			t.Errorf("TakeWork of what is not offered: %v", err)
		}
		if raw, err := a.Invoke(t.Context(), "GetWork"); err != nil || string(raw) != "null" {
			t.Errorf("GetWork before the claim: %s, %v", raw, err)
		}
		g := got(t, a.claim(t.Context(), 1, "work", o.ID))
		if _, err := a.renew(g.Token); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if o, _ := s.orders.Get(o.ID); o.State != area.OrderPlaying || *o.Device != "gate-1" {
			t.Errorf("while it sounds the order is %s", o.State)
		}
		if raw, err := a.Invoke(t.Context(), "GetWork"); err != nil || !strings.Contains(string(raw), string(o.ID)) {
			t.Errorf("GetWork: %s, %v", raw, err)
		}
		a.done(g.Token, "played")
		synctest.Wait()
		if o, _ := s.orders.Get(o.ID); o.State != area.OrderPlayed {
			t.Errorf("at the end the order is %s", o.State)
		}
	})
}

// TestFullCallsRevoke: who is stopped hears it once, and has no right any more.
func TestFullCallsRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a := s.player("gate-1", "north", 1, "m1")
		g := got(t, a.claim(t.Context(), 1))
		if _, err := a.renew(g.Token); err != nil {
			t.Fatal(err)
		}
		a.heard()
		s.arbiter.StopPlay("north")
		if told := a.heard(); told != fmt.Sprintf(`Revoked "north" %d 150 "admin"`, g.Token) {
			t.Errorf("told: %s", told)
		}
		if _, err := a.renew(g.Token); !says(err, "revoked") {
			t.Errorf("Renew: %v", err)
		}
		a.done(g.Token, "preempted")
		if next := got(t, a.claim(t.Context(), 2)); next.err != nil || next.Token <= g.Token {
			t.Errorf("the next claim: %+v", next)
		}
	})
}

// TestFullCallsOutliveTheConnection: a lease goes on to its end without its
// connection, and the same start finds it again on another one; a claim that waits
// does not outlive its caller.
func TestFullCallsOutliveTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, b := s.player("gate-1", "north", 4, "m1"), s.player("gate-2", "north", 1, "m2")
		g := got(t, a.claim(t.Context(), 1))
		if _, err := a.renew(g.Token); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		waits := b.claim(ctx, 1)
		cancel()
		synctest.Wait()
		if w := <-waits; w.err == nil {
			t.Error("a claim that was taken back was granted")
		}
		waits = b.claim(t.Context(), 2)
		_ = a.Close()
		time.Sleep(3 * time.Second)
		back := s.player("gate-1", "north", 4, "m1")
		if lease, err := back.renew(g.Token); err != nil || lease != 6000 {
			t.Fatalf("Renew after a lost connection: %d, %v", lease, err)
		}
		if again := got(t, back.claim(t.Context(), 1)); again.Token != g.Token {
			t.Errorf("the claim again: %+v", again)
		}
		_ = back.Close()
		time.Sleep(6240 * time.Millisecond)
		select {
		case w := <-waits:
			t.Fatalf("granted within the lease of a lost device: %+v", w)
		default:
		}
		time.Sleep(20 * time.Millisecond)
		if w := got(t, waits); w.err != nil {
			t.Errorf("after the lease: %v", w.err)
		}
	})
}

// TestFullCallsRefuse: what is wrong has an error of its own.
func TestFullCallsRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		a, classic, none := s.player("gate-1", "north", 1, "m1"), s.program("gate-2", "north", nil), s.connect()
		g := got(t, a.claim(t.Context(), 5))
		for _, c := range []struct {
			code string
			who  *signalrtest.Client
			call string
			args []any
		}{
			{"not_registered", none.Client, "Claim", []any{"north", map[string]int{"claim": 1}}},
			{"not_registered", none.Client, "Renew", []any{"north", 1}},
			{"not_registered", none.Client, "Done", []any{"north", 1, "played"}},
			{"not_registered", none.Client, "TakeWork", []any{"o-1"}},
			{"not_registered", classic.Client, "Renew", []any{"north", 1}},
			{"not_registered", a.Client, "BroadcastWorkStatus", []any{"north", true}},
			{"conflict", a.Client, "Claim", []any{"south", map[string]int{"claim": 6}}},
			{"conflict", a.Client, "Claim", []any{"north", map[string]int{"claim": 4}}},
			{"unknown_area", a.Client, "Claim", []any{"nowhere", map[string]int{"claim": 6}}},
			{"invalid", a.Client, "Claim", []any{"north", map[string]int{"claim": 0}}},
			{"invalid", a.Client, "Claim", []any{"north", map[string]int{"claim": 6, "prio": 1000}}},
			{"invalid", a.Client, "Claim", []any{"north", map[string]int{"claim": 6, "dur_ms": -1}}},
			{"invalid", a.Client, "Claim", []any{"north", map[string]any{"claim": 6, "work": "a b"}}},
			{"revoked", a.Client, "Renew", []any{"north", g.Token + 1}},
			{"invalid", a.Client, "Done", []any{"north", g.Token, "sung"}},
			{"invalid", a.Client, "Done", []any{"north", g.Token, "played", map[string]int{"at_ms": 1, "first_ms": 3, "last_ms": 2}}},
			{"invalid", a.Client, "TakeWork", []any{"a b"}},
			{"invalid", none.Client, "Register", []any{map[string]any{"device": "a b", "area": "north"}}},
			{"invalid", none.Client, "Register", []any{map[string]any{"device": "gate-9", "area": "north", "boot": -1}}},
			{"invalid", none.Client, "Register", []any{map[string]any{"device": "gate-9", "area": "north", "location": []int{1}}}},
			{"invalid", none.Client, "Register", []any{map[string]any{"device": "gate-9", "area": "north", "mid": strings.Repeat("m", 500)}}},
		} {
			if raw, err := c.who.Invoke(t.Context(), c.call, c.args...); !says(err, c.code) {
				t.Errorf("%s%v: %s, %v; want %s", c.call, c.args, raw, err, c.code)
			}
		}
		// Another machine has the name now: the first one's turn is over.
		waits := s.player("gate-3", "north", 1, "m3").claim(t.Context(), 1)
		other := s.player("gate-1", "north", 1, "m9")
		if _, err := a.renew(g.Token); !says(err, "not_registered") {
			t.Errorf("Renew of who was replaced: %v", err)
		}
		if other.boot == 1 {
			t.Error("another machine has kept the boot of the first")
		}
		time.Sleep(4 * time.Second) // the lease of who was replaced ends
		if w := got(t, waits); w.err != nil {
			t.Error(w.err)
		}
	})
}
