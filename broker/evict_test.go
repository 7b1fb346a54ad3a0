package broker

import (
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestWhoMakesRoom: who has been silent for a second, else the oldest that does
// not wait for us and has been here for a moment.
func TestWhoMakesRoom(t *testing.T) {
	type one struct {
		age         time.Duration
		host        string
		heard, busy bool
	}
	const old, fresh, now = 2 * time.Second, 300 * time.Millisecond, 10 * time.Millisecond
	for name, c := range map[string]struct {
		in   []one // oldest first
		host string
		want int // -1: nobody
	}{
		"the oldest silent one":       {[]one{{old, "a", true, false}, {old, "a", false, false}, {fresh, "a", false, false}}, "", 1},
		"none is silent for long":     {[]one{{old, "a", true, false}, {fresh, "a", false, false}}, "", 0},
		"among those that half spoke": {[]one{{fresh, "a", true, false}, {fresh, "a", false, false}}, "", 0},
		"not who waits for us":        {[]one{{old, "a", true, true}, {fresh, "a", true, false}}, "", 1},
		"all wait for us":             {[]one{{old, "a", true, true}, {fresh, "a", true, true}}, "", -1},
		"all have just come":          {[]one{{now, "a", false, false}, {now, "a", true, false}}, "", -1},
		"of the address":              {[]one{{old, "a", false, false}, {old, "b", true, false}}, "b", 1},
		"of the address, a moment":    {[]one{{old, "a", false, false}, {100 * time.Millisecond, "b", true, false}}, "b", -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHalfOpen(100, 100)
				var links []*link
				for _, o := range c.in {
					l := &link{host: o.host, came: time.Now().Add(-o.age)}
					l.heard.Store(o.heard)
					l.busy.Store(o.busy)
					links = append(links, l)
					h.add(l)
				}
				h.most = len(links)
				least := moment
				if c.host != "" {
					least = momentHere
				} else if crowded := h.crowded(); crowded != (c.want < 0) {
					t.Errorf("crowded: %t", crowded)
				}
				got := -1
				if l := h.choose(c.host, least); l != nil {
					got = slices.Index(links, l)
				}
				if got != c.want {
					t.Errorf("connection %d makes room, want %d", got, c.want)
				}
				if none := h.evict(nil, c.host, least); len(none) != btoi(c.want >= 0) || h.len() != len(links)-len(none) {
					t.Errorf("%d were taken out, %d are left of %d", len(none), h.len(), len(links))
				}
				if c.want < 0 && len(h.oldest(1)) != btoi(name == "all have just come" || c.host != "") {
					t.Error("without descriptors only who waits for us stays")
				}
			})
		})
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestUnread: what has come and was not read is seen past a reader that waits.
func TestUnread(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	o := output{raw: server, fd: rawConn(server)}
	if o.unread() {
		t.Error("something is unread before anything was said")
	}
	read := make(chan error, 1)
	go func() {
		_, err := server.Read(make([]byte, 1))
		read <- err
	}()
	if _, err := client.Write([]byte("ab")); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if !o.unread() {
		t.Error("the second byte is not seen")
	}
	if _, err := server.Read(make([]byte, 1)); err != nil || o.unread() {
		t.Errorf("%v; all was read, and something is unread", err)
	}
	_ = server.Close()
	if o.unread() {
		t.Error("something is unread on a closed connection")
	}
}
