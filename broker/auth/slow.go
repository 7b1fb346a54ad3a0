package auth

import (
	"container/list"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// How a source of wrong passwords is slowed.
const (
	freeTries  = 5               // wrong ones without a delay
	firstWait  = time.Second     // after the last of them; doubled by each further one
	longest    = 5 * time.Minute // the delay grows no longer
	forgetting = 15 * time.Minute
	maxSources = 8192 // of each list below; at the limit the one longest unheard of is forgotten
)

// slow keeps count of wrong attempts per source. A name that has signed in from
// a source before is counted apart from the others there: one device with a
// wrong password does not keep out its neighbours behind the same address, nor
// does somebody who guesses there.
type slow struct {
	mu      sync.Mutex
	sources recent // by source: attempts on names that did not sign in from there lately
	pairs   recent // by source and name: that did
}

func newSlow() *slow {
	return &slow{sources: recent{keep: forgetting}, pairs: recent{keep: checkedFor}}
}

// tries are the wrong attempts of one source.
type tries struct {
	wrong int
	last  time.Time
	until time.Time // when the next attempt is heard
}

// wait is how long an attempt has to wait; 0: it is heard.
func (s *slow) wait(source, name string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.of(source, name, now); t != nil && now.Before(t.until) {
		return t.until.Sub(now)
	}
	return 0
}

func (s *slow) of(source, name string, now time.Time) *tries {
	if t := s.pairs.get(pair(source, name), now); t != nil {
		return t
	}
	return s.sources.get(source, now)
}

// fail counts a wrong attempt, and tells whether it is the one from which on the
// source is slowed.
func (s *slow) fail(source, name string, now time.Time) (begins bool) {
	if source == "" {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.pairs.get(pair(source, name), now)
	if t == nil {
		s.sources.get(source, now) // which forgets it where that is due
		t = s.sources.put(source, now)
	}
	if now.Sub(t.last) > forgetting && now.After(t.until) {
		t.wrong = 0
	}
	t.wrong++
	t.last = now
	over := t.wrong - freeTries
	if over >= 0 {
		t.until = now.Add(min(firstWait<<min(over, 16), longest))
	}
	return over == 0
}

// good notes that the name has signed in from the source.
func (s *slow) good(source, name string, now time.Time) {
	if source == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.pairs.put(pair(source, name), now) = tries{}
}

func pair(source, name string) string { return source + "\x00" + name }

// recent is a bounded table that forgets what was not touched for long.
type recent struct {
	keep  time.Duration
	by    map[string]*list.Element
	order list.List // the latest touched in front
}

type touched struct {
	key string
	at  time.Time
	tries
}

func (r *recent) get(key string, now time.Time) *tries {
	e := r.by[key]
	if e == nil {
		return nil
	}
	one := e.Value.(*touched)
	if now.Sub(one.at) > r.keep {
		r.drop(e)
		return nil
	}
	return &one.tries
}

func (r *recent) put(key string, now time.Time) *tries {
	if e := r.by[key]; e != nil {
		one := e.Value.(*touched)
		one.at = now
		r.order.MoveToFront(e)
		return &one.tries
	}
	if r.by == nil {
		r.by = map[string]*list.Element{}
	}
	if len(r.by) >= maxSources {
		r.drop(r.order.Back())
	}
	one := &touched{key: key, at: now}
	r.by[key] = r.order.PushFront(one)
	return &one.tries
}

func (r *recent) drop(e *list.Element) {
	r.order.Remove(e)
	delete(r.by, e.Value.(*touched).key)
}

// slowError is an [area.Error] of code rate that says how long to wait.
type slowError struct {
	wait time.Duration
	err  *area.Error
}

func (e *slowError) Error() string { return e.err.Error() }
func (e *slowError) Unwrap() error { return e.err }

// RetryAfter is how long the caller is to wait before he tries again; false
// where the error is not about that.
func RetryAfter(err error) (time.Duration, bool) {
	if e, ok := errors.AsType[*slowError](err); ok {
		return e.wait, true
	}
	return 0, false
}

// slowed refuses an attempt from a source that has to wait.
func (a *Authority) slowed(source, name string) error {
	if source == "" {
		return nil
	}
	wait := a.slow.wait(source, name, a.now())
	if wait == 0 {
		return nil
	}
	a.count.slowed.Add(1)
	return &slowError{wait: wait, err: area.Errorf(area.CodeRate, "too many wrong attempts from %s: wait %s", source, wait.Round(time.Second))}
}

// sourceOf makes what is counted by out of an address with or without a port:
// an IPv4 address, the first 64 bits of an IPv6 address, or the text.
func sourceOf(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		ap, err := netip.ParseAddrPort(addr)
		if err != nil {
			return addr
		}
		ip = ap.Addr()
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, _ := ip.Prefix(64)
	return p.String()
}
