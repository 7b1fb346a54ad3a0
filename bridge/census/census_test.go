package census

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/broker/area"
)

// post is one node of an exchange, with its census.
type post struct {
	*Census
	state atomic.Value // of strings
	stop  func()
}

// open starts a node; stop ends it. It must be called in a bubble.
func open(t *testing.T, x *backplane.Exchange, name string, areas ...area.Name) *post {
	t.Helper()
	m := backplane.NewMux(x.Join(name, ""))
	p := &post{}
	p.state.Store(Ready)
	start := area.At(time.Now())
	about := func() Report {
		return Report{Kind: KindHub, State: p.state.Load().(string), Version: "1.0", StartedAt: start, Areas: areas, Connections: Connections{Web: 2}, Backplane: Backplane{Mode: "redis", Connected: m.Plane().Stats().Connected}}
	}
	var err error
	if p.Census, err = New(Config{Self: name}, m, about, time.Now); err != nil {
		t.Fatal(err)
	}
	mux, census := running(t, m.Run), running(t, p.Run)
	p.stop = func() {
		census()
		mux()
		synctest.Wait()
	}
	synctest.Wait()
	return p
}

// running runs a part; what it answers ends it.
func running(t *testing.T, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// shows is the list in short: name, state, areas, and a star at the node itself.
func (p *post) shows() string {
	var all []string
	for _, n := range p.Nodes() {
		one := n.Node + " " + n.State
		for _, a := range n.Areas {
			one += " " + string(a)
		}
		if n.Self {
			one += "*"
		}
		all = append(all, one)
	}
	return strings.Join(all, ", ")
}

func (p *post) want(t *testing.T, when, want string) {
	t.Helper()
	if got := p.shows(); got != want {
		t.Errorf("%s: the list is %q, want %q", when, got, want)
	}
}

func TestNodesSeeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a := open(t, x, "a", "north")
		defer func() { a.stop() }()
		a.want(t, "alone", "a ready north*")
		b := open(t, x, "b", "pier", "south")
		time.Sleep(2 * time.Second)
		a.want(t, "two", "a ready north*, b ready pier south")
		b.want(t, "two", "a ready north, b ready pier south*")
		list := a.Nodes()
		if n := list[1]; n.LagMs == nil || n.HeardAt == nil || n.Starts != 1 || n.GoneAt != nil || n.Connections.Web != 2 {
			t.Errorf("b is shown as %+v", n)
		}

		b.stop()
		a.want(t, "b died", "a ready north*, b gone")
		if n := a.Nodes()[1]; n.GoneAt == nil || n.Version != "1.0" || n.Connections.Web != 0 {
			t.Errorf("the dead b is shown as %+v", n)
		}
		b = open(t, x, "b")
		time.Sleep(2 * time.Second)
		a.want(t, "b is back", "a ready north*, b ready")
		if n := a.Nodes()[1]; n.Starts != 2 || n.GoneAt != nil {
			t.Errorf("b that is back is shown as %+v", n)
		}

		b.state.Store(Draining)
		b.Tell()
		time.Sleep(time.Millisecond)
		a.want(t, "b drains", "a ready north*, b draining")
		b.state.Store(Ready)
		b.Tell()
		time.Sleep(time.Millisecond)
		a.want(t, "b has not ended", "a ready north*, b ready")
		b.state.Store(Draining) // which is its last word
		b.stop()
		a.want(t, "b ended in order", "a ready north*, b left")
		time.Sleep(time.Hour - time.Minute)
		a.want(t, "for a while", "a ready north*, b left")
		time.Sleep(time.Minute)
		a.want(t, "at last", "a ready north*")
	})
}

// The last word of a node that ends in order may come after it is gone.
func TestLateLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a"), open(t, x, "b")
		defer func() { a.stop() }()
		time.Sleep(2 * time.Second)
		said := b.about()
		b.stop()
		a.want(t, "b died", "a ready*, b gone")
		for _, c := range []struct {
			state string
			start area.Time
			want  string
		}{
			{Ready, said.StartedAt, "a ready*, b gone"},
			{Draining, area.At(said.StartedAt.Add(-time.Second)), "a ready*, b gone"}, // of the start before
			{Draining, said.StartedAt, "a ready*, b left"},
		} {
			report := said
			report.State, report.StartedAt = c.state, c.start
			body, err := word{report, 1}.encode()
			if err != nil {
				t.Fatal(err)
			}
			a.heard("b", body, -1)
			a.want(t, c.state, c.want)
		}
	})
}

// Of two words of a node the one that was said later counts, whichever comes first.
func TestWordsOvertake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a"), open(t, x, "b")
		defer func() { a.stop() }()
		time.Sleep(2 * time.Second)
		late, err := b.say() // an answer that is underway for long
		if err != nil {
			t.Fatal(err)
		}
		b.state.Store(Draining)
		b.Tell()
		synctest.Wait()
		a.heard("b", late, time.Second)
		a.want(t, "an older word", "a ready*, b draining")
		b.stop()
		a.want(t, "its end", "a ready*, b left")
	})
}

// A node that lives and does not answer is silent, and no longer than that.
func TestSilentNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a := open(t, x, "a")
		defer func() { a.stop() }()
		mute := backplane.NewMux(x.Join("mute", ""))
		held := make(chan struct{})
		mute.OnAsk(Kind, func(ctx context.Context, _ string, _ []byte) ([]byte, error) {
			select {
			case <-held:
				return word{Report{Kind: KindView, State: Degraded}, 1}.encode()
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- mute.Run(ctx) }()
		synctest.Wait()
		a.want(t, "not heard yet", "a ready*, mute starting")
		time.Sleep(4 * time.Second)
		a.want(t, "not heard", "a ready*, mute silent")
		close(held)
		time.Sleep(2 * time.Second)
		a.want(t, "heard", "a ready*, mute degraded")
		if s := a.Stats(); s.Silent == 0 || s.Known != 1 || s.Rounds == 0 {
			t.Errorf("counted %+v", s)
		}
		cancel()
		<-ended
	})
}

// What others say is read with care.
func TestParseReport(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"good":         {`{"kind":"hub","state":"ready"}`, true},
		"more keys":    {`{"kind":"view","state":"draining","later":1}`, true},
		"no JSON":      {`{`, false},
		"other kind":   {`{"kind":"x","state":"ready"}`, false},
		"seen from":    {`{"kind":"hub","state":"gone"}`, false},
		"no state":     {`{"kind":"hub"}`, false},
		"too large":    {`{"kind":"hub","state":"ready","version":"` + strings.Repeat("x", mostReport) + `"}`, false},
		"too many":     {`{"kind":"hub","state":"ready","areas":[` + strings.Repeat(`"a",`, mostAreas) + `"a"]}`, false},
		"wrong number": {`{"kind":"hub","state":"ready","memory_bytes":-1}`, false},
	} {
		if r, err := parseWord([]byte(c.text)); (err == nil) != c.good || err == nil && r.Areas == nil {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// The dead are bounded in number.
func TestManyDead(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := New(Config{Self: "me"}, nil, func() Report { return Report{Kind: KindHub, State: Ready} }, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for i := range mostGone + 3 {
		now = now.Add(time.Second)
		c.changed([]backplane.Node{{Name: "n-" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Life: 1}})
	}
	c.changed(nil)
	list := c.Nodes()
	if len(list) != mostGone+1 || c.Stats().Forgotten != 3 {
		t.Errorf("%d are listed, %d forgotten", len(list), c.Stats().Forgotten)
	}
	if slices.ContainsFunc(list, func(n Node) bool { return n.Node == "n-aa" }) {
		t.Error("the first that died is still listed")
	}
	for _, cfg := range []Config{{}, {Self: "a", Every: time.Millisecond}, {Self: "a", Keep: -1}} {
		if _, err := New(cfg, nil, c.about, c.now); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}
