package hubd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/auth"
)

func user(name string) auth.Principal {
	return auth.Principal{Name: name, Kind: auth.KindUser, Tenant: auth.DefaultTenant}
}

func TestSessions(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := newSessions(func() time.Time { return now })
	holds := func(key, want string) {
		t.Helper()
		p, _, ok := s.of(key)
		if p.Name != want && ok || ok != (want != "") {
			t.Errorf("the key is %q's, %v, want %q's", p.Name, ok, want)
		}
	}
	ann, expires := s.open(user("ann"))
	bob, _ := s.open(user("bob"))
	if !strings.HasPrefix(ann, sessionPrefix) || len(ann) < 30 || ann == bob || !expires.Equal(now.Add(sessionLife)) {
		t.Errorf("keys %s and %s, until %s", ann, bob, expires)
	}
	holds(ann, "ann")
	holds(bob, "bob")
	holds("", "")
	holds(ann+"x", "")
	_, id, _ := s.of(bob)
	s.close(id)
	holds(bob, "")
	holds(ann, "ann")

	short := user("cy")
	short.Expires = now.Add(time.Minute)
	cy, expires := s.open(short)
	if !expires.Equal(short.Expires) {
		t.Errorf("a session outlives what proved it: until %s", expires)
	}
	now = now.Add(time.Minute)
	holds(cy, "")
}

func TestSessionsAreBounded(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := newSessions(func() time.Time { return now })
	other, _ := s.open(user("bob"))
	var keys []string
	for range sessionsPerUser + 2 {
		key, _ := s.open(user("ann"))
		keys = append(keys, key)
	}
	for i, key := range keys {
		if _, _, ok := s.of(key); ok != (i >= 2) {
			t.Errorf("session %d of %d: %v", i, len(keys), ok)
		}
	}
	if _, _, ok := s.of(other); !ok {
		t.Error("one user's sessions push out another's")
	}
	for i := range mostSessions {
		s.open(user(fmt.Sprint("u", i)))
	}
	if _, _, ok := s.of(other); ok {
		t.Error("the oldest is still there")
	}
	if n, dropped := s.count(); n != mostSessions || dropped != 2+1+sessionsPerUser {
		t.Errorf("%d sessions, %d dropped", n, dropped)
	}
	now = now.Add(sessionLife)
	s.open(user("late"))
	if n, _ := s.count(); n != 1 {
		t.Errorf("%d sessions when all but one are too old", n)
	}
}

func TestRefusalsAreNotLoggedWithoutBound(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	a := &audit{now: func() time.Time { return now }}
	said := 0
	for range 2 * refusalsPerSecond {
		if a.room() {
			said++
		}
	}
	now = now.Add(time.Second)
	if !a.room() || said != refusalsPerSecond || a.unlogged.Load() != refusalsPerSecond {
		t.Errorf("%d lines, %d unlogged", said, a.unlogged.Load())
	}
}
