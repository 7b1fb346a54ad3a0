package update

import (
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"testing"
)

// The program of the newest version is cut short at random offsets, and has bits
// flipped at random offsets, a hundred times each: every start goes back to the
// one before, whether the damaged one was on trial or confirmed.
func TestHundredDamages(t *testing.T) {
	s := newSite(t, "v1.1.0", "v1.2.0")
	confirm := func(d disk) error { sl := openSlots("", d); return sl.Keep(sl.state.Healthy()) }
	for _, c := range []struct {
		name  string
		steps []func(d disk) error
	}{
		{"on trial", nil},
		{"confirmed", []func(d disk) error{confirm}},
	} {
		for range 100 {
			for _, cut := range []bool{true, false} {
				d := newMemory()
				must(t, s.stage(d, "v1.1.0"))
				must(t, confirm(d))
				must(t, s.stage(d, "v1.2.0"))
				for _, step := range c.steps {
					must(t, step(d))
				}
				n := d.now[string(B)]
				at := rand.N(len(n.data))
				if cut {
					n.data = n.data[:at]
				} else {
					n.data[at] ^= 1 << rand.N(8)
				}
				slots := openSlots("", d)
				for range 2 {
					if on := slots.Choose("v1.0.0", s.keys, slog.New(slog.DiscardHandler)); on != A {
						t.Fatalf("%s, cut %v, byte %d: it starts slot %q", c.name, cut, at, on)
					}
				}
				if last := slots.state.Last; last.Result != Failed || last.Version != "v1.2.0" {
					t.Fatalf("%s, cut %v, byte %d: the outcome is %+v", c.name, cut, at, last)
				}
			}
		}
	}
}

// Whatever the file of the state says, the launcher comes to an end, and starts
// nothing that was not signed.
func FuzzState(f *testing.F) {
	s := newSite(f, "v1.1.0")
	d := newMemory()
	if err := s.stage(d, "v1.1.0"); err != nil {
		f.Fatal(err)
	}
	good, err := read(d, stateFile, maxState)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"current":"x","previous":"../..","trial":"a","tries":-5,"starts":9999999999}`))
	f.Add([]byte(`{"current":"b","previous":"b","trial":"b"}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		d := newMemory()
		for name, data := range map[string][]byte{stateFile: state, string(A): s.programs["v1.1.0"], string(B): []byte("not signed")} {
			d.now[name] = &inode{data: data}
		}
		slots := openSlots("", d)
		if at := slots.Choose("v1.0.0", s.keys, slog.New(slog.DiscardHandler)); at != Packaged {
			if err := slots.Check(at, s.keys); err != nil {
				t.Errorf("it starts slot %q: %v", at, err)
			}
		}
		if _, err := json.Marshal(slots.State()); err != nil {
			t.Error(err)
		}
	})
}
