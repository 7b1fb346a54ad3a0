package signalr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

func TestSlowClientIsCut(t *testing.T) {
	const events = 300
	payload := strings.Repeat("x", 1000)
	ended := make(chan error, 10)
	h := newSite(t, signalr.Config{OutboxBytes: 100_000}, func(s *signalr.Server) {
		s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") })
		s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
	})
	got, part, all := 0, make(chan struct{}, events), make(chan struct{})
	fast := h.dial(t, signalrtest.Options{On: map[string]func([]json.RawMessage){"Push": func([]json.RawMessage) {
		part <- struct{}{}
		if got++; got == events {
			close(all)
		}
	}}})
	slow := h.greeted(t, "")
	slow.send(callAdd)
	slow.want(answered3)    // then it has joined; and it reads nothing more
	invoke(t, fast, "Void") // as this one has
	for range events {
		h.Group("g").Send("Push", payload)
		<-part // the other member is served at once, whatever the slow one does
	}
	<-all
	if err := <-ended; !errors.Is(err, signalr.ErrSlow) {
		t.Errorf("slow client ended with %v", err)
	}
	if s := h.Stats(); s.SlowDisconnects != 1 || len(h.Members("g")) != 1 {
		t.Errorf("%d members left, %+v", len(h.Members("g")), s)
	}
}

func TestBlockedClientIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
		h.greeted(t, "")
		synctest.Wait()
		start := time.Now()
		if n := h.All().Send("Push", 1); n != 1 {
			t.Fatalf("sent to %d", n)
		}
		if err := <-ended; !errors.Is(err, signalr.ErrSlow) || time.Since(start) != 10*time.Second {
			t.Errorf("ended with %v after %v", err, time.Since(start))
		}
	})
}

func TestLongEventFitsAnEmptyOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{OutboxBytes: 1000}, nil)
		r := h.greeted(t, "")
		text := strings.Repeat("x", 200_000)
		for range 3 {
			synctest.Wait() // until the outbox is empty
			h.All().Send("Push", text)
			r.want(`{"type":1,"target":"Push","arguments":["` + text + `"]}`)
		}
	})
}

func TestSendersKeepTheirOrder(t *testing.T) {
	const senders, events, clients = 4, 500, 3
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") }) })
	streams := make([][]string, clients)
	var all sync.WaitGroup
	all.Add(clients * senders * events)
	for i := range clients {
		c := h.dial(t, signalrtest.Options{On: map[string]func([]json.RawMessage){"Push": func(args []json.RawMessage) {
			streams[i] = append(streams[i], string(args[0])+":"+string(args[1]))
			all.Done()
		}}})
		invoke(t, c, "Void") // then it has joined
	}
	var senderGroup sync.WaitGroup
	for s := range senders {
		senderGroup.Go(func() {
			for n := range events {
				h.Group("g").Send("Push", s, n)
			}
		})
	}
	senderGroup.Wait()
	all.Wait()
	next := make([]int, senders)
	for _, e := range streams[0] {
		var s, n int
		_, _ = fmt.Sscanf(e, "%d:%d", &s, &n)
		if n != next[s] {
			t.Fatalf("sender %d: got %d, want %d", s, n, next[s])
		}
		next[s]++
	}
	for i := 1; i < clients; i++ {
		if strings.Join(streams[i], " ") != strings.Join(streams[0], " ") {
			t.Errorf("member %d saw another order than member 0", i)
		}
	}
	if p, _ := h.Position("g"); p.Offset != senders*events {
		t.Errorf("offset %d, want %d", p.Offset, senders*events)
	}
}
