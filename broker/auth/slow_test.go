package auth

import (
	"fmt"
	"testing"
	"time"
)

// TestSourcesAreBounded: many sources fill no memory, and those of late are
// remembered.
func TestSourcesAreBounded(t *testing.T) {
	s, now := newSlow(), time.Unix(1e9, 0)
	for i := range 3 * maxSources {
		source := fmt.Sprint("source ", i)
		for range freeTries {
			s.fail(source, "ann", now)
		}
		s.good(source, "ann", now)
	}
	if a, b := len(s.sources.by), len(s.pairs.by); a != maxSources || b != maxSources || s.sources.order.Len() != a {
		t.Errorf("%d sources and %d pairs, want %d each", a, b, maxSources)
	}
	if s.wait(fmt.Sprint("source ", 3*maxSources-1), "bob", now) == 0 || s.wait("source 0", "bob", now) != 0 {
		t.Error("the wrong ones were forgotten")
	}
}

// TestLongestWait: the delay has an end, and so has what is remembered.
func TestLongestWait(t *testing.T) {
	s, now := newSlow(), time.Unix(1e9, 0)
	for range 1000 {
		s.fail("x", "ann", now)
		now = now.Add(s.wait("x", "ann", now))
	}
	s.fail("x", "ann", now)
	if d := s.wait("x", "ann", now); d != longest {
		t.Errorf("%s, want %s", d, longest)
	}
	if d := s.wait("x", "ann", now.Add(forgetting+longest)); d != 0 {
		t.Errorf("%s later: wait %s", forgetting, d)
	}
	s.fail("", "ann", now)
	if s.wait("", "ann", now) != 0 || len(s.sources.by) != 0 {
		t.Error("no source is slowed, or what is over is kept")
	}
}

// TestKnownPairIsSlowedByItself: a name that signs in from a place is counted
// apart, and forgiven when it is right.
func TestKnownPairIsSlowedByItself(t *testing.T) {
	s, now := newSlow(), time.Unix(1e9, 0)
	s.good("x", "ann", now)
	for range freeTries {
		s.fail("x", "ann", now)
	}
	if s.wait("x", "ann", now) == 0 || s.wait("x", "bob", now) != 0 {
		t.Error("the others there have to wait, or it has not")
	}
	s.good("x", "ann", now)
	if s.wait("x", "ann", now) != 0 {
		t.Error("it is not forgiven")
	}
}

// TestRememberedIsBounded: many right passwords fill no memory.
func TestRememberedIsBounded(t *testing.T) {
	c, now := newChecked(), time.Unix(1e9, 0)
	for i := range 2 * maxChecked {
		c.add(c.key(fmt.Sprint(i), "", ""), now)
	}
	last := c.key(fmt.Sprint(2*maxChecked-1), "", "")
	if len(c.until) != maxChecked || !c.has(last, now) || c.has(last, now.Add(checkedFor)) || c.has(c.key("other", "", ""), now) {
		t.Errorf("%d are remembered, want %d", len(c.until), maxChecked)
	}
	if c.key("a", "bc", "") == c.key("ab", "c", "") {
		t.Error("two of one key")
	}
}

// TestSlowingBeginsOnce: it is told of once in a row of wrong attempts.
func TestSlowingBeginsOnce(t *testing.T) {
	s, now := newSlow(), time.Unix(1e9, 0)
	for i := range 3 * freeTries {
		if got := s.fail("x", "ann", now); got != (i+1 == freeTries) {
			t.Errorf("attempt %d: begins %t", i+1, got)
		}
	}
	if s.fail("", "ann", now) {
		t.Error("no source is slowed")
	}
}
