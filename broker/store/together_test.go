package store

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tacet.db")
	s := open(t, path)
	mustPut(t, s.Table("a"), "gone", "1")
	done := make(chan error, 1)
	if err := s.PutTogether([]Record{{Table: "a", Key: "k", Value: []byte("1")}, {Table: "b", Key: "k"}, {Table: "a", Key: "gone", Gone: true}, {Table: "c", Key: "k", Gone: true}}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if a, b := rows(t, s.Table("a")), rows(t, s.Table("b")); !slices.Equal(a, []string{"k=1"}) || !slices.Equal(b, []string{"k="}) {
		t.Errorf("a has %q, b has %q", a, b)
	}
	list := []Record{{Table: "a", Key: "k", Gone: true}, {Table: "b", Key: "k"}, {Table: "a", Key: "gone", Value: []byte("x")}, {Table: "none", Key: "k"}}
	if err := s.Read(list); err != nil {
		t.Fatal(err)
	}
	for i, want := range []Record{{Value: []byte("1")}, {Value: []byte{}}, {Gone: true}, {Gone: true}} {
		if r := list[i]; string(r.Value) != string(want.Value) || (r.Value == nil) != (want.Value == nil) || r.Gone != want.Gone {
			t.Errorf("read %d: %+v, want %+v", i, r, want)
		}
	}
}

func TestTogetherRefused(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "tacet.db"))
	never := func(error) { t.Error("done is called though the changes were refused") }
	for name, c := range map[string]struct {
		r    Record
		want area.Code
	}{
		"no key": {Record{Table: "a"}, area.CodeInvalid}, "long key": {Record{Table: "a", Key: strings.Repeat("k", maxKey+1)}, area.CodeInvalid},
		"long value": {Record{Table: "a", Key: "k", Value: make([]byte, maxRecord+1)}, area.CodeTooLarge},
	} {
		if err := s.PutTogether([]Record{{Table: "a", Key: "well"}, c.r}, never); area.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if got := rows(t, s.Table("a")); len(got) != 0 {
		t.Errorf("refused, and yet there is %q", got)
	}
	if n := s.Stats().Refused; n != 3 {
		t.Errorf("%d refused, want 3", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.PutTogether([]Record{{Table: "a", Key: "k"}}, never); area.CodeOf(err) != area.CodeDraining {
		t.Errorf("closed: %v", err)
	}
}
