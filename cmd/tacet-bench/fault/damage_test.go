package fault

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestDamage: each harm changes the file, and only what is stored is harmed.
func TestDamage(t *testing.T) {
	good := bytes.Repeat([]byte("stored "), 5000)
	for range 50 {
		dir := t.TempDir()
		for name, b := range map[string][]byte{"tacet.db": good, "ready.json": good, "empty": nil} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		what, err := damage(dir)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(dir, "tacet.db"))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(got, good) {
			t.Errorf("%s: nothing has changed", what)
		}
		if other, err := os.ReadFile(filepath.Join(dir, "ready.json")); err != nil || !bytes.Equal(other, good) {
			t.Errorf("%s: another file has changed", what)
		}
	}
	if what, err := damage(t.TempDir()); err != nil || what == "" {
		t.Errorf("nothing stored: %q, %v", what, err)
	}
}

func TestComplaints(t *testing.T) {
	log := "time=x level=INFO msg=fine\ntime=x level=WARN msg=\"record damaged\"\ntime=x level=ERROR msg=\"store damaged\"\n"
	if lines := complaintsIn(log); len(lines) != 2 {
		t.Errorf("got %q", lines)
	}
}

// TestClone: a judgement of the copy leaves the promises as they are.
func TestClone(t *testing.T) {
	r := newRig()
	r.kept.ack("a", r.kept.intend("a", 1))
	s := r.away[0].stream
	s.ack(s.intend())
	things := r.things()
	c := r.clone()
	c.kept.judge(nil, func(string) bool { return true }, &c.count)
	c.away[0].stream.settle(&c.count)
	if c.count.n[Lost] != 2 {
		t.Errorf("the copy has lost %d", c.count.n[Lost])
	}
	if r.things() != things || c.things() != things-2 {
		t.Errorf("%d things, then %d, and %d in the copy", things, r.things(), c.things())
	}
}
