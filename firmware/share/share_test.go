package share

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/firmware/fetch"
)

// site is an area whose members share what they have, on real sockets.
type site struct {
	t *testing.T

	mu     sync.Mutex
	roster area.Peers
	cut    map[area.DeviceID]bool // have no roster
}

func newSite(t *testing.T) *site {
	return &site{t: t, roster: area.Peers{Area: "north", Key: bytes.Repeat([]byte{7}, area.AreaKeySize)}, cut: map[area.DeviceID]bool{}}
}

func (s *site) of(d area.DeviceID) func() (area.Peers, bool) {
	return func() (area.Peers, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		p := s.roster
		p.Members = slices.Clone(p.Members)
		return p, !s.cut[d]
	}
}

// member is a device of the site.
type member struct {
	cache  *fetch.Cache
	server *Server
	client *Client
	addr   string
}

// join makes a device a member, which serves what it has.
func (s *site) join(d area.DeviceID, change func(*Config)) *member {
	t := s.t
	t.Helper()
	cfg := Config{Device: d, Roster: s.of(d)}
	if change != nil {
		change(&cfg)
	}
	m := &member{}
	var err error
	if m.client, err = NewClient(cfg); err != nil {
		t.Fatal(err)
	}
	if m.cache, err = fetch.Open(fetch.Config{Dir: filepath.Join(t.TempDir(), "clips"), Near: m.client}, fetch.NewWeb(fetch.WebConfig{})); err != nil {
		t.Fatal(err)
	}
	if m.server, err = NewServer(cfg, m.cache); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.server.Run(ctx, l) }()
	t.Cleanup(func() {
		m.client.Close()
		m.cache.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: Run: %v", d, err)
		}
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roster.Members = append(s.roster.Members, area.Member{Device: d, Index: uint64(16 + len(s.roster.Members)), Clips: m.addr})
	return m
}

// hub is a web listener that has one clip.
func hub(t *testing.T, b []byte) (at func() string, asked func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	n := 0
	web := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		mu.Unlock()
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	})}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = web.Serve(l) }()
	t.Cleanup(func() { _ = web.Close(); <-ended })
	return func() string { return "http://" + l.Addr().String() }, func() int { mu.Lock(); defer mu.Unlock(); return n }
}

func nowhere() string { return "" }

// One device brings a clip from the hub; the others have it of each other.
func TestOnceForAll(t *testing.T) {
	s := newSite(t)
	b := bytes.Repeat([]byte("tacet"), 60_000)
	name := clip.SumOf(b).String()
	at, asked := hub(t, b)
	taker := s.join("gate-1", nil)
	others := []*member{s.join("gate-2", nil), s.join("gate-3", nil), s.join("gate-4", nil)}
	var waits sync.WaitGroup
	for _, m := range others {
		waits.Go(func() {
			if err := m.cache.Await(t.Context(), nowhere, name); err != nil {
				t.Error(err)
			}
		})
	}
	f, err := taker.cache.Fetch(t.Context(), at, name)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	has, lacks := taker.cache.Spread(t.Context(), name)
	waits.Wait()
	if !slices.Equal(has, []area.DeviceID{"gate-2", "gate-3", "gate-4"}) || lacks != nil {
		t.Errorf("%v have it, %v lack it", has, lacks)
	}
	if n := asked(); n != 1 {
		t.Errorf("the hub was asked %d times", n)
	}
	given := func() (n uint64) {
		for _, m := range append(others, taker) {
			n += m.server.Stats().Bytes
		}
		return n
	}
	want, look := 3*uint64(len(b)), time.NewTicker(5*time.Millisecond)
	defer look.Stop()
	for given() < want { // a server counts what it has sent
		<-look.C
	}
	if n := given(); n != want {
		t.Errorf("%d bytes were given to each other, want %d", n, want)
	}
	if f, err = others[2].cache.Fetch(t.Context(), nowhere, name); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, b) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// put gives a member a clip.
func (m *member) put(t *testing.T, b []byte) clip.Sum {
	t.Helper()
	at, _ := hub(t, b)
	f, err := m.cache.Fetch(t.Context(), at, clip.SumOf(b).String())
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return clip.SumOf(b)
}

// Whoever has not the key of the area is given nothing, whatever he makes up.
func TestStrangers(t *testing.T) {
	s := newSite(t)
	m := s.join("gate-1", nil)
	other := s.join("gate-2", nil)
	sum := m.put(t, []byte("a sound"))
	key := s.roster.Key
	number := m.server.numbers.next()
	path := "/clips/" + sum.Hex()
	good := authorization("gate-2", number, macOf(key, "north", "gate-2", "gate-1", http.MethodGet, path, number))
	for name, c := range map[string]struct {
		method, authorization string
		want                  int
	}{
		"a neighbour":        {http.MethodGet, good, http.StatusOK},
		"nobody":             {http.MethodGet, "", http.StatusUnauthorized},
		"no member":          {http.MethodGet, authorization("gate-9", number, macOf(key, "north", "gate-9", "gate-1", http.MethodGet, path, number)), http.StatusUnauthorized},
		"another key":        {http.MethodGet, authorization("gate-2", number, macOf([]byte("guess"), "north", "gate-2", "gate-1", http.MethodGet, path, number)), http.StatusUnauthorized},
		"for another device": {http.MethodGet, authorization("gate-2", number, macOf(key, "north", "gate-2", "gate-3", http.MethodGet, path, number)), http.StatusUnauthorized},
		"for another clip":   {http.MethodGet, authorization("gate-2", number, macOf(key, "north", "gate-2", "gate-1", http.MethodGet, path+"0", number)), http.StatusUnauthorized},
		"for another method": {http.MethodHead, good, http.StatusUnauthorized},
		"a number made up":   {http.MethodGet, authorization("gate-2", "0-1", macOf(key, "north", "gate-2", "gate-1", http.MethodGet, path, "0-1")), http.StatusUnauthorized},
		"too few words":      {http.MethodGet, scheme + " gate-2 " + number, http.StatusUnauthorized},
		"a password":         {http.MethodGet, "Basic Z2F0ZS0yOg==", http.StatusUnauthorized},
		"a method of others": {http.MethodDelete, authorization("gate-2", number, macOf(key, "north", "gate-2", "gate-1", http.MethodDelete, path, number)), http.StatusMethodNotAllowed},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, "http://"+m.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if c.authorization != "" {
			req.Header.Set("Authorization", c.authorization)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", name, res.Status, c.want)
		}
		if has := strings.Contains(string(body), "a sound"); has != (c.want == http.StatusOK) {
			t.Errorf("%s: it got %q", name, body)
		}
	}
	if n := m.server.Stats().Strangers; n != 9 {
		t.Errorf("%d strangers, want 9", n)
	}
	// A device that is no member any more neither gives nor gets anything.
	s.mu.Lock()
	s.cut["gate-1"] = true
	s.mu.Unlock()
	if shelves := other.client.Ask(t.Context(), sum); len(shelves) != 1 || shelves[0].Has != fetch.Silent {
		t.Errorf("it answers %+v", shelves)
	}
	if shelves := m.client.Ask(t.Context(), sum); len(shelves) != 0 {
		t.Errorf("it asks %+v", shelves)
	}
}

// A number is good for a minute or two; a client asks for a new one then.
func TestNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newNumbers(), newNumbers()
		n := a.next()
		if !a.good(n) || b.good(n) {
			t.Errorf("%s is good where it was made: %v, elsewhere: %v", n, a.good(n), b.good(n))
		}
		time.Sleep(time.Minute)
		if !a.good(n) {
			t.Error("it is too old after a minute")
		}
		time.Sleep(time.Minute)
		if a.good(n) || !a.good(a.next()) {
			t.Error("it is good after two minutes, or the next one is not")
		}
	})
}

// shelf is a shelf as the test says.
type shelf struct {
	whole, coming bool
	b             []byte
	opened        chan struct{} // one for each clip that is asked for; nil: nobody looks
	let           chan struct{} // closed: it may be read; nil: at once
}

func (s shelf) Has(clip.Sum) (whole, coming bool) { return s.whole, s.coming }

func (s shelf) Look(clip.Sum) (io.ReadSeekCloser, error) {
	if !s.whole {
		return nil, clip.ErrNotFound
	}
	if s.opened != nil {
		s.opened <- struct{}{}
		<-s.let
	}
	return nopCloser{bytes.NewReader(s.b)}, nil
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// serve runs a server of a shelf for one neighbour, gate-2, which asks it.
func (s *site) serve(sh Shelf, change func(*Config)) (*Server, *Client) {
	t := s.t
	t.Helper()
	cfg := Config{Device: "gate-1", Roster: s.of("gate-1")}
	if change != nil {
		change(&cfg)
	}
	server, err := NewServer(cfg, sh)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, l) }()
	client, err := NewClient(Config{Device: "gate-2", Roster: s.of("gate-2")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); cancel(); <-ended })
	s.roster.Members = []area.Member{{Device: "gate-1", Index: 16, Clips: l.Addr().String()}, {Device: "gate-2", Index: 17}}
	return server, client
}

// What a device has it says in the status of a HEAD.
func TestWhatThereIs(t *testing.T) {
	for _, c := range []struct {
		shelf shelf
		want  fetch.Has
		code  int
	}{{shelf{}, fetch.Nothing, http.StatusNotFound}, {shelf{coming: true}, fetch.Coming, http.StatusNotFound}, {shelf{whole: true, b: []byte("x")}, fetch.Whole, http.StatusOK}} {
		_, client := newSite(t).serve(c.shelf, nil)
		got := client.Ask(t.Context(), clip.SumOf(nil))
		for len(got) == 1 && got[0].Has == fetch.Silent { // a busy machine may not answer within the second that it has
			got = client.Ask(t.Context(), clip.SumOf(nil))
		}
		if len(got) != 1 || got[0] != (fetch.Shelf{Device: "gate-1", Has: c.want}) {
			t.Errorf("%+v: %+v", c.shelf, got)
		}
		res, err := client.Get(t.Context(), "gate-1", clip.SumOf(nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.code {
			t.Errorf("%+v: %s", c.shelf, res.Status)
		}
		if _, err := client.Get(t.Context(), "gate-3", clip.SumOf(nil), nil); err == nil {
			t.Error("nobody's neighbour answers")
		}
	}
}

func TestARange(t *testing.T) {
	_, client := newSite(t).serve(shelf{whole: true, b: []byte("0123456789")}, nil)
	res, err := client.Get(t.Context(), "gate-1", clip.SumOf(nil), http.Header{"Range": {"bytes=7-"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "789" || res.StatusCode != http.StatusPartialContent {
		t.Errorf("%s: %q, %v", res.Status, b, err)
	}
}

// A server gives so many clips at a time, and tells the next one to come again.
func TestTooManyAtATime(t *testing.T) {
	sh := shelf{whole: true, b: []byte("x"), opened: make(chan struct{}), let: make(chan struct{})}
	server, client := newSite(t).serve(sh, func(c *Config) { c.AtOnce = 2 })
	var asks sync.WaitGroup
	for range 2 {
		asks.Go(func() {
			res, err := client.Get(t.Context(), "gate-1", clip.SumOf(nil), nil)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("one of two: %s", res.Status)
			}
		})
		<-sh.opened
	}
	res, err := client.Get(t.Context(), "gate-1", clip.SumOf(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" || server.Stats().Full != 1 {
		t.Errorf("the third: %s, %+v", res.Status, server.Stats())
	}
	close(sh.let)
	asks.Wait()
}

// A connection too many is closed; those that were there go on.
func TestTooManyConnections(t *testing.T) {
	s := newSite(t)
	server, client := s.serve(shelf{whole: true, b: []byte("x")}, func(c *Config) { c.Conns = 2 })
	addr := s.roster.Members[0].Clips
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		// A refused request: the connection is served, and stays.
		if _, err := io.WriteString(c, "HEAD /clips/x HTTP/1.1\r\nHost: gate-1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	if got := client.Ask(t.Context(), clip.SumOf(nil)); got[0].Has != fetch.Silent || server.Stats().Many == 0 {
		t.Errorf("a third connection is answered %+v, %+v", got, server.Stats())
	}
	held[0].Close()
	for client.Ask(t.Context(), clip.SumOf(nil))[0].Has != fetch.Whole { // when the server has noticed
		if t.Context().Err() != nil {
			t.Fatal("a place that is free is not given")
		}
	}
}

// A server gives no more than its rate, all together.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.roster.Members = []area.Member{{Device: "gate-2", Index: 17}}
		b := bytes.Repeat([]byte("t"), 8*piece)
		server, err := NewServer(Config{Device: "gate-1", Roster: s.of("gate-1"), Rate: 16 * piece}, shelf{whole: true, b: b})
		if err != nil {
			t.Fatal(err)
		}
		pipe := signalrtest.NewPipe(server.web)
		defer pipe.Close()
		number, path := server.numbers.next(), "/clips/"+clip.SumOf(b).Hex()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://gate-1"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", authorization("gate-2", number, macOf(s.roster.Key, "north", "gate-2", "gate-1", http.MethodGet, path, number)))
		web := http.Transport{DialContext: pipe.Dial}
		defer web.CloseIdleConnections()
		began := time.Now()
		res, err := web.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		// A piece may go at once; the other seven take a sixteenth of a second each.
		if took := time.Since(began).Round(time.Millisecond); err != nil || len(got) != len(b) || took != (7*time.Second/16).Round(time.Millisecond) {
			t.Errorf("%d bytes in %v, %v", len(got), took, err)
		}
		synctest.Wait() // the server counts what it has sent
		if s := server.Stats(); s.Bytes != uint64(len(b)) || s.Given != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// Nobody at the address: it is left alone for a while.
func TestAway(t *testing.T) {
	s := newSite(t)
	const addr = "127.0.0.1:1"
	s.roster.Members = []area.Member{{Device: "gate-1", Index: 16, Clips: addr}, {Device: "gate-3", Index: 18}}
	client, err := NewClient(Config{Device: "gate-2", Roster: s.of("gate-2")})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got := client.Ask(t.Context(), clip.SumOf(nil)); len(got) != 1 || got[0].Has != fetch.Silent || !client.isAway(addr) {
		t.Errorf("%+v, away %v", got, client.isAway(addr))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client.away = map[string]time.Time{}
	if client.Ask(ctx, clip.SumOf(nil)); client.isAway(addr) {
		t.Error("who gives up himself learns nothing of the other")
	}
}

func TestValidate(t *testing.T) {
	roster := func() (area.Peers, bool) { return area.Peers{}, false }
	for name, c := range map[string]Config{
		"no device": {Roster: roster}, "no roster": {Device: "gate-1"}, "negative": {Device: "gate-1", Roster: roster, Conns: -1},
		"slower than a piece a second": {Device: "gate-1", Roster: roster, Rate: piece - 1},
	} {
		_, err := NewServer(c, shelf{})
		if _, again := NewClient(c); err == nil || again == nil || !strings.HasPrefix(err.Error(), "share: ") {
			t.Errorf("%s: %v, %v", name, err, again)
		}
	}
	if err := errors.Join(Config{Device: "gate-1", Roster: roster}.Validate()); err != nil {
		t.Error(err)
	}
}
