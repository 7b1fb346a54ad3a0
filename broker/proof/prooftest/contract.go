package prooftest

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/proof"
)

// Test runs the contract of a proof.Common. Each call of common makes another one, empty,
// and each of what that answers is it for one more node.
func Test(t *testing.T, common func(t *testing.T) func() proof.Common) {
	for name, part := range map[string]func(*testing.T, proof.Common){"empty": empty, "files": files, "only if so": onlyIf, "lost": lost, "kept": keeps, "clock": clock} {
		t.Run(name, func(t *testing.T) { part(t, common(t)()) })
	}
	t.Run("at once", func(t *testing.T) { atOnce(t, common(t)) })
}

// write has to be done.
func write(t *testing.T, c proof.Common, node string, w proof.Write) {
	t.Helper()
	if done, err := c.Write(t.Context(), node, w); err != nil || !done {
		t.Fatalf("%+v: %v, %v", w, done, err)
	}
}

// has tells what is there of a file.
func has(t *testing.T, c proof.Common, node, file, want string) {
	t.Helper()
	if got, err := c.File(t.Context(), node, file); err != nil || string(got) != want {
		t.Errorf("%s of %s: %q, %v, want %q", file, node, got, err, want)
	}
}

func says(t *testing.T, c proof.Common, node string, want map[string]string) {
	t.Helper()
	if got, err := c.Texts(t.Context(), node); err != nil || !maps.Equal(got, want) {
		t.Errorf("of %s: %q, %v, want %q", node, got, err, want)
	}
}

func empty(t *testing.T, c proof.Common) {
	if nodes, err := c.Nodes(t.Context()); err != nil || len(nodes) != 0 {
		t.Errorf("%v, %v", nodes, err)
	}
	says(t, c, "a", nil)
	has(t, c, "a", "f", "")
}

func files(t *testing.T, c proof.Common) {
	binary := string([]byte{0, 1, 0xff, '\r', '\n', '"', ' '})
	write(t, c, "a", proof.Write{Name: "x", Texts: map[string]string{"x": "1", "y": binary}, File: "x/1", Begin: true, Lines: []byte("one\n")})
	write(t, c, "a", proof.Write{Name: "x", Was: "1", Texts: map[string]string{"x": "2"}, File: "x/1", Lines: []byte(binary)})
	write(t, c, "b", proof.Write{Name: "x", Texts: map[string]string{"x": "other"}, File: "x/1", Begin: true, Lines: []byte("other\n")})
	has(t, c, "a", "x/1", "one\n"+binary)
	says(t, c, "a", map[string]string{"x": "2", "y": binary})
	write(t, c, "a", proof.Write{Name: "x", Was: "2", Texts: map[string]string{"x": "3"}, File: "x/2", Begin: true, Lines: []byte("two\n"), Drop: []string{"x/1", "x/none"}})
	has(t, c, "a", "x/1", "")
	has(t, c, "a", "x/2", "two\n")
	write(t, c, "a", proof.Write{Name: "x", Was: "3", Texts: map[string]string{"x": "4"}, File: "x/2", Begin: true, Lines: []byte("anew\n")})
	has(t, c, "a", "x/2", "anew\n")
	has(t, c, "b", "x/1", "other\n")
	says(t, c, "b", map[string]string{"x": "other"})
	nodes, err := c.Nodes(t.Context())
	if slices.Sort(nodes); err != nil || !slices.Equal(nodes, []string{"a", "b"}) {
		t.Errorf("nodes %v, %v", nodes, err)
	}
}

func onlyIf(t *testing.T, c proof.Common) {
	write(t, c, "a", proof.Write{Name: "x", Texts: map[string]string{"x": "1"}, File: "f", Begin: true, Lines: []byte("1\n")})
	for _, was := range []string{"", "2"} {
		if done, err := c.Write(t.Context(), "a", proof.Write{Name: "x", Was: was, Texts: map[string]string{"x": "9", "y": "9"}, File: "f", Lines: []byte("9\n"), Drop: []string{"f"}}); done || err != nil {
			t.Errorf("where it was %q: %v, %v", was, done, err)
		}
	}
	if done, err := c.Write(t.Context(), "b", proof.Write{Name: "x", Was: "1", Texts: map[string]string{"x": "9"}, File: "f", Begin: true, Lines: []byte("9\n")}); done || err != nil {
		t.Errorf("where nothing was: %v, %v", done, err)
	}
	says(t, c, "a", map[string]string{"x": "1"})
	says(t, c, "b", nil)
	has(t, c, "a", "f", "1\n")
}

func lost(t *testing.T, c proof.Common) {
	if _, err := c.Write(t.Context(), "a", proof.Write{Name: "x", Texts: map[string]string{"x": "1"}, File: "f", Lines: []byte("1\n")}); !errors.Is(err, proof.ErrLost) {
		t.Errorf("a file that is not there: %v", err)
	}
	says(t, c, "a", map[string]string{"x": "1"})
	has(t, c, "a", "f", "")
}

func keeps(t *testing.T, c proof.Common) {
	for i, was := range []string{"", "0", "1"} {
		if got, err := c.Keep(t.Context(), "a", "word", strconv.Itoa(i), []string{"f", "none"}); err != nil || got != was {
			t.Errorf("it was %q, %v, want %q", got, err, was)
		}
	}
	says(t, c, "a", map[string]string{"word": "2"})
	if nodes, err := c.Nodes(t.Context()); err != nil || !slices.Equal(nodes, []string{"a"}) {
		t.Errorf("nodes %v, %v", nodes, err)
	}
}

// atOnce: of all that write at the same time each has its turn.
func atOnce(t *testing.T, common func() proof.Common) {
	c := common()
	write(t, c, "a", proof.Write{Name: "x", Texts: map[string]string{"x": "0"}, File: "f", Begin: true})
	var all sync.WaitGroup
	var done atomic.Int64
	const writers, turns = 4, 10
	for w := range writers {
		c := common()
		all.Go(func() {
			for range turns {
				for t.Context().Err() == nil {
					texts, err := c.Texts(t.Context(), "a")
					if err != nil {
						t.Error(err)
						return
					}
					n, _ := strconv.Atoi(texts["x"])
					is, err := c.Write(t.Context(), "a", proof.Write{Name: "x", Was: texts["x"], Texts: map[string]string{"x": strconv.Itoa(n + 1)}, File: "f", Lines: []byte(strconv.Itoa(w) + "\n")})
					if err != nil {
						t.Error(err)
						return
					}
					if is {
						done.Add(1)
						break
					}
				}
			}
		})
	}
	all.Wait()
	content, err := c.File(t.Context(), "a", "f")
	if n := bytes.Count(content, []byte("\n")); err != nil || n != writers*turns || done.Load() != int64(n) {
		t.Errorf("%d lines of %d writes, %v", n, done.Load(), err)
	}
	says(t, c, "a", map[string]string{"x": strconv.Itoa(writers * turns)})
}

func clock(t *testing.T, c proof.Common) {
	one, err := c.Clock(t.Context())
	two, e := c.Clock(t.Context())
	if err != nil || e != nil || two.Before(one.Add(-time.Minute)) || one.IsZero() {
		t.Errorf("%v %v, %v %v", one, two, err, e)
	}
}
