package relay

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// all is what a peer has been told.
func (p *peer) all() map[string]string {
	m := map[string]string{}
	for _, k := range p.keys() {
		switch k[0] {
		case aboutShare:
			m[k] = fmt.Sprint(p.shares[k[1:]])
		case aboutClient:
			m[k] = p.clients[k[1:]]
		default:
			m[k] = ""
		}
	}
	return m
}

// Whatever of what is told is lost, a peer that asks for all has what there is, and it
// never takes one change without those before it.
func TestFactsArrive(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	f, p := newFacts(), newPeer("b", 1)
	clients := map[string]string{}
	noted := func(client, is string) { clients[client] = is }
	for range 3000 {
		k := key("fscxn"[rng.IntN(5)], fmt.Sprint("k", rng.IntN(30)))
		if rng.IntN(3) == 0 {
			f.unset(k)
		} else if v := fmt.Sprint(1 + rng.IntN(3)); k[0] == aboutShare || k[0] == aboutClient {
			f.set(k, v)
		} else {
			f.set(k, "")
		}
		from := f.version
		list := f.changes()
		for _, one := range tellings(from, f.version, list) {
			told, ok := parseTelling(one.append(nil))
			if !ok || len(told.list) != len(one.list) {
				t.Fatalf("%+v comes as %+v", one, told)
			}
			if len(list) == 0 || rng.IntN(5) == 0 { // lost
				continue
			}
			if !p.take(told, noted) {
				for _, whole := range tellings(0, f.version, f.list()) {
					p.take(whole, noted)
				}
			}
			if p.version == f.version && !maps.Equal(p.all(), f.all) {
				t.Fatalf("version %d: the peer has %v, want %v", p.version, p.all(), f.all)
			}
		}
	}
	for c := range p.clients {
		if clients[c] != p.clients[c] {
			t.Errorf("of client %s was told %q, it has %q", c, clients[c], p.clients[c])
		}
	}
}

// A telling of all facts counts once its last part is there.
func TestFactsInParts(t *testing.T) {
	f, p := newFacts(), newPeer("b", 1)
	for i := range 5000 {
		f.set(key(aboutFilter, fmt.Sprintf("%0200d", i)), "")
	}
	parts := tellings(0, f.version, f.list())
	if len(parts) < 4 {
		t.Fatalf("%d parts", len(parts))
	}
	none := func(string, string) {}
	for i, one := range parts {
		if len(one.append(nil)) > tellingBytes+1000 {
			t.Errorf("part %d has %d bytes", i, len(one.append(nil)))
		}
		if p.told || !p.mayWant("x") {
			t.Fatal("it counts before its end")
		}
		p.take(one, none)
	}
	if !p.told || p.mayWant("x") || !maps.Equal(p.all(), f.all) {
		t.Errorf("the peer has %d facts", len(p.all()))
	}
	p.take(parts[1], none) // of one whose beginning was lost
	if len(p.all()) != 5000 {
		t.Errorf("a part without its beginning counts: %d facts", len(p.all()))
	}
}

// Over the bound the others are told that everything is wanted, and below half of it
// what really is.
func TestTooManyFilters(t *testing.T) {
	f := newFacts()
	s := newSubs(10, &f)
	var over int
	for i := range 12 {
		if s.add("c", fmt.Sprint("t/", i), true) {
			over++
		}
	}
	if _, told := f.all[key(aboutFilter, everything)]; !told || over != 1 {
		t.Errorf("%d times over, everything told: %t", over, told)
	}
	for i := range 7 {
		s.remove("c", fmt.Sprint("t/", i))
	}
	var want []string
	for i := 7; i < 12; i++ {
		want = append(want, key(aboutFilter, fmt.Sprint("t/", i)))
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(f.all)); !reflect.DeepEqual(got, want) {
		t.Errorf("told is %q, want %q", got, want)
	}
}

// The newer session counts, at both nodes the same one.
func TestNewerSession(t *testing.T) {
	for _, c := range []struct{ a, b int64 }{{1, 2}, {2, 1}, {1, 1}} {
		x, y := session{at: c.a}, session{at: c.b}
		if x.newer("a", y, "b") == y.newer("b", x, "a") {
			t.Errorf("%+v: both or none are newer", c)
		}
	}
	for _, s := range []session{{1, false}, {1_700_000_000_000_000, true}} {
		if got, ok := parseSession(s.encode()); !ok || got != s {
			t.Errorf("%+v comes as %+v", s, got)
		}
	}
}

func FuzzTelling(f *testing.F) {
	f.Add(telling{from: 1, to: 2, first: true, last: true, list: []fact{{"fa/b", "", false}, {"s$share/g/x", "2", true}}}.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		told, ok := parseTelling(b)
		if !ok {
			return
		}
		newPeer("b", 1).take(told, func(string, string) {})
		again, ok := parseTelling(told.append(nil))
		if !ok || !reflect.DeepEqual(told, again) {
			t.Errorf("%+v comes back as %+v", told, again)
		}
	})
}
