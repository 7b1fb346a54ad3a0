package leader

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

func hubURL(t *testing.T, h string) *url.URL {
	t.Helper()
	u, err := uplink.ParseHub(h)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// echo is a hub that says back what it hears, and how many it has.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	var open atomic.Int64
	ctx, end := context.WithCancel(context.Background())
	work.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Add(1)
			work.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				_, _ = io.Copy(c, c)
				open.Add(-1)
				_ = c.Close()
			})
		}
	})
	t.Cleanup(func() {
		for late := time.Now().Add(time.Minute); open.Load() > 0 && time.Now().Before(late); { // whoever was carried is gone: so is his connection
			pause(ctx, time.Millisecond)
		}
		if n := open.Load(); n > 0 {
			t.Errorf("%d connections to the hub are left open", n)
		}
		end()
		_ = l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

// carries is a running relay of gate-1 in front of hubs.
func carries(t *testing.T, p area.Peers, hubs ...string) (*relay, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := newRelay("gate-1", hubs, func() string { return "" }, slog.New(slog.DiscardHandler), &counters{})
	r.admit(p)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { r.serve(ctx, l) })
	t.Cleanup(func() { cancel(); work.Wait() })
	return r, netip.MustParseAddrPort(l.Addr().String())
}

func TestRelay(t *testing.T) {
	p := roster(1)
	p.Members = append(p.Members, area.Member{Device: "gate-2", Index: 17})
	hub := "mqtt://" + echo(t)
	_, at := carries(t, p, "wss://nobody", "mqtts://127.0.0.1:1", hub)
	wrong := make([]byte, area.AreaKeySize)
	for name, c := range map[string]struct {
		self, through area.DeviceID
		key           []byte
		hub           string
		want          string // of the error; empty: carried
	}{
		"a member":                   {"gate-2", "gate-1", p.Key, "mqtt://hub", ""},
		"a stranger":                 {"gate-9", "gate-1", p.Key, "mqtt://hub", "carried by gate-1"},
		"without the key":            {"gate-2", "gate-1", wrong, "mqtt://hub", "does not know the key"},
		"somebody else than he says": {"gate-2", "gate-3", p.Key, "mqtt://hub", "does not know the key"},
		"a hub that is away":         {"gate-2", "gate-1", p.Key, "mqtts://hub", "cannot be reached"},
		"no such hub":                {"gate-2", "gate-1", p.Key, "ws://hub", "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := carried(t.Context(), c.self, c.through, c.key, at, hubURL(t, c.hub))
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := conn.Write([]byte("hello")); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// The hub's web listener is reached as well, where it is known, and never takes the
// room of a member's connections to the broker.
func TestRelayToTheWeb(t *testing.T) {
	p := roster(1)
	p.Members = append(p.Members, area.Member{Device: "gate-2", Index: 17})
	r, at := carries(t, p, "mqtt://"+echo(t))
	var conns []net.Conn
	open := func(hub string) error {
		c, err := carried(t.Context(), "gate-2", "gate-1", p.Key, at, &url.URL{Scheme: hub})
		if err == nil {
			conns = append(conns, c)
		}
		return err
	}
	if err := open(webScheme); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("where it is not known: %v", err)
	}
	web := "http://" + echo(t)
	r.web = func() string { return web }
	for n := range mostPerMember {
		err := open(webScheme)
		if (err == nil) != (n < mostWeb) {
			t.Errorf("connection %d to the web: %v", n+1, err)
		}
	}
	for range mostPerMember - mostWeb {
		if err := open("mqtt"); err != nil {
			t.Errorf("no room for the broker: %v", err)
		}
	}
	if err := open("mqtt"); err == nil {
		t.Error("and more than there is room for")
	}
	for _, c := range conns {
		_ = c.Close()
	}
	for { // all is forgotten
		r.mu.Lock()
		left := len(r.now) + len(r.webs)
		r.mu.Unlock()
		if left == 0 {
			break
		}
		pause(t.Context(), time.Millisecond)
	}
	for web, want := range map[string]string{"http://hub": "hub:80", "https://hub.local": "hub.local:443", "https://[fd00::1]:8443": "[fd00::1]:8443", "": "", "hub": "", "ftp://": ""} {
		if got := WebHost(web); got != want {
			t.Errorf("%q is at %q, want %q", web, got, want)
		}
	}
}

// A member has so many connections at once, and no more; one that ends makes room.
func TestRelayIsBounded(t *testing.T) {
	p := roster(1)
	p.Members = append(p.Members, area.Member{Device: "gate-2", Index: 17})
	r, at := carries(t, p, "mqtt://"+echo(t))
	open := func() (net.Conn, error) {
		return carried(t.Context(), "gate-2", "gate-1", p.Key, at, hubURL(t, "mqtt://hub"))
	}
	var conns []net.Conn
	for range mostPerMember {
		c, err := open()
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	if _, err := open(); err == nil || !strings.Contains(err.Error(), errFull.Error()) {
		t.Errorf("one too many: %v", err)
	}
	if n := r.count.carriedFull.Load(); n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
	_ = conns[0].Close()
	for {
		c, err := open()
		if err == nil {
			conns[0] = c
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	for _, c := range conns {
		_ = c.Close()
	}
}

// Whoever says nothing sensible is not answered.
func TestRelayHearsNonsense(t *testing.T) {
	r, at := carries(t, roster(1), "mqtt://"+echo(t))
	for _, text := range []string{"\n", "GET / HTTP/1.1\r\n\r\n", "{}\n", strings.Repeat("x", 2*mostGreeting)} {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, text) // it may be closed already
		if b, _ := io.ReadAll(c); len(b) > 0 {
			t.Errorf("%q is answered %q", text, b)
		}
		_ = c.Close()
	}
	if n := r.count.carried.Load(); n != 0 {
		t.Errorf("%d were carried", n)
	}
}
