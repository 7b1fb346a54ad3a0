package hubd

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/auth"
)

// Bounds of what is remembered of people who signed in at the dashboard.
const (
	sessionLife     = 12 * time.Hour // a shift; then the password is asked for again
	sessionsPerUser = 20             // browsers; the oldest of a user is forgotten for one more
	mostSessions    = 10_000         // over all; the oldest is forgotten for one more
)

// sessions knows who has signed in at the dashboard. A browser holds the key of
// its session; here is only the key's hash. Sessions end when they are too old,
// when somebody signs out, when the user loses his rights, and with the process.
// Over the bounds above the oldest is forgotten, and counted as dropped. It is
// safe for concurrent use.
type sessions struct {
	now func() time.Time

	mu      sync.Mutex
	known   map[sessionID]session
	order   []sessionID // the oldest first
	dropped uint64
}

// sessionID is the hash of a session's key; it may be shown to other parts of
// the program.
type sessionID [sha256.Size]byte

type session struct {
	who     auth.Principal
	expires time.Time
}

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, known: map[sessionID]session{}}
}

// open makes a session and answers its key, of 130 random bits or more.
func (s *sessions) open(who auth.Principal) (key string, expires time.Time) {
	key, expires = rand.Text(), s.now().Add(sessionLife)
	if !who.Expires.IsZero() && who.Expires.Before(expires) {
		expires = who.Expires
	}
	who.Expires = expires
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(who)
	id := idOf(key)
	s.known[id] = session{who: who, expires: expires}
	s.order = append(s.order, id)
	return key, expires
}

// makeRoom forgets what is too old, and the oldest where there are too many.
// The caller holds the lock.
func (s *sessions) makeRoom(who auth.Principal) {
	now, mine := s.now(), 0
	s.keep(func(x session) bool { return now.Before(x.expires) })
	for _, id := range s.order {
		if same(s.known[id].who, who) {
			mine++
		}
	}
	left := len(s.order)
	s.keep(func(x session) bool {
		my := same(x.who, who)
		if over := my && mine >= sessionsPerUser || left >= mostSessions; !over {
			return true
		}
		if my {
			mine--
		}
		left--
		s.dropped++
		return false
	})
}

// keep forgets the sessions for which good answers false, which is asked about
// the oldest first. The caller holds the lock.
func (s *sessions) keep(good func(session) bool) {
	kept := s.order[:0]
	for _, id := range s.order {
		if good(s.known[id]) {
			kept = append(kept, id)
			continue
		}
		delete(s.known, id)
	}
	clear(s.order[len(kept):])
	s.order = kept
}

func same(a, b auth.Principal) bool {
	return a.Kind == b.Kind && a.Tenant == b.Tenant && a.Name == b.Name
}

// of is who holds a key; false where nobody does, or not any more.
func (s *sessions) of(key string) (auth.Principal, sessionID, bool) {
	id := idOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.known[id]
	return x.who, id, ok && s.now().Before(x.expires)
}

// close ends one session; it answers whose it was.
func (s *sessions) close(id sessionID) (auth.Principal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.known[id]
	delete(s.known, id)
	for i, at := range s.order {
		if at == id {
			s.order = append(s.order[:i], s.order[i+1:]...)
			break
		}
	}
	return x.who, ok
}

// revoke ends every session of somebody.
func (s *sessions) revoke(who func(auth.Principal) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(func(x session) bool { return !who(x.who) })
}

// count is how many sessions there are, and how many were forgotten early.
func (s *sessions) count() (n int, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order), s.dropped
}

func idOf(key string) sessionID { return sha256.Sum256([]byte(key)) }
