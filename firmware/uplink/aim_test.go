package uplink

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// neighbour is a target whose connections go to a broker of its own.
func neighbour(t *testing.T, via string) (Target, *brokertest.Broker) {
	t.Helper()
	b := brokertest.New(t)
	return Target{Hubs: []string{"mqtt://" + via}, Username: "u", Password: "p", Via: via,
		Open: func(context.Context, *url.URL) (net.Conn, error) { return b.Pipe(t), nil }}, b
}

func TestAim(t *testing.T) {
	cases := map[string]struct {
		before func(t *testing.T, s *site) // the client is aimed
	}{
		"while it is connected": {func(t *testing.T, s *site) { <-s.ups }},
		"while it waits to try again": {func(t *testing.T, s *site) {
			<-s.ups
			s.setAway(true)
			<-s.ups
			time.Sleep(time.Minute + time.Second) // waits are 15 s by now
		}},
		"before it runs": {nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				to, b := neighbour(t, "gate-2")
				inbox := brokertest.NewInbox()
				if _, err := b.Subscribe("x", inbox.Put); err != nil {
					t.Fatal(err)
				}
				if c.before != nil {
					s.run(t)
					c.before(t, s)
				}
				began := time.Now()
				if err := s.c.Aim(to); err != nil {
					t.Fatal(err)
				}
				if c.before == nil {
					s.run(t)
				}
				for up := ""; up == "" || up[0] != 't'; {
					up = <-s.ups
				}
				if d := time.Since(began); c.before != nil && (d < dropWait || d > 2*dropWait) {
					t.Errorf("connected after %v, want %v to %v", d, dropWait, 2*dropWait)
				}
				if at, up := s.c.At(); !up || !at.Same(to) || !s.c.Aimed().Same(to) {
					t.Errorf("at %v %v, want %v", at.Hubs, up, to.Hubs)
				}
				if err := s.c.Publish(t.Context(), area.Message{Topic: "x"}); err != nil {
					t.Fatal(err)
				}
				inbox.Take(t, 1)
				s.stop()
			})
		})
	}
}

// Who is left sends the Will, and hears no more; the way back is the same.
func TestAimAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		var said bytes.Buffer
		s.c.log = slog.New(slog.NewTextHandler(&said, nil))
		left := brokertest.NewInbox()
		if _, err := s.b.Subscribe("tacet/device/gate-1/status", left.Put); err != nil {
			t.Fatal(err)
		}
		s.run(t)
		<-s.ups
		to, _ := neighbour(t, "gate-2")
		for _, target := range []Target{to, s.c.Home()} {
			for range 2 { // the second is no change
				if err := s.c.Aim(target); err != nil {
					t.Fatal(err)
				}
			}
			if got := (<-s.ups)[:5]; got != "false" {
				t.Fatalf("told %s first, want false", got)
			}
			if got := (<-s.ups)[:4]; got != "true" {
				t.Fatalf("told %s then, want true", got)
			}
		}
		if m := left.Take(t, 1)[0]; string(m.Payload) != "dead 1" {
			t.Errorf("the Will is %s", m.Payload)
		}
		if n := s.c.Stats().Aims; n != 2 {
			t.Errorf("%d aims, want 2", n)
		}
		if at, up := s.c.At(); !up || at.Via != "" {
			t.Errorf("at %v %v, want the hub", at.Hubs, up)
		}
		s.stop()
		if n := strings.Count(said.String(), "connection left for another"); n != 2 { // and not at the end
			t.Errorf("left for another %d times, want 2:\n%s", n, said.String())
		}
	})
}

// A dial that hangs does not keep the client from going elsewhere.
func TestAimAbandonsADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		dials := make(chan struct{}, 10)
		hangs := Target{Hubs: []string{"mqtt://hangs"}, Via: "hangs", Open: func(ctx context.Context, _ *url.URL) (net.Conn, error) {
			dials <- struct{}{}
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		if err := s.c.Aim(hangs); err != nil {
			t.Fatal(err)
		}
		s.run(t)
		<-dials
		began := time.Now()
		if err := s.c.Aim(s.c.Home()); err != nil {
			t.Fatal(err)
		}
		<-s.ups
		if d := time.Since(began); d > 2*dropWait {
			t.Errorf("connected after %v, want at most %v", d, 2*dropWait)
		}
		s.stop()
	})
}

func TestAimRefuses(t *testing.T) {
	s := newSite(t)
	open := func(context.Context, *url.URL) (net.Conn, error) { return nil, errAway }
	for name, to := range map[string]Target{
		"nowhere":                 {},
		"no address":              {Hubs: []string{"hub"}},
		"the web through another": {Hubs: []string{"wss://hub"}, Open: open},
	} {
		if err := s.c.Aim(to); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if !s.c.Aimed().Same(s.c.Home()) {
		t.Error("a refused target has changed the aim")
	}
}
