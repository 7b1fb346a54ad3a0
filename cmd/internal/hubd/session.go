package hubd

import (
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/auth"
)

// Bounds of what is remembered of people who signed in.
const (
	sessionLife     = 12 * time.Hour // a shift; then the password is asked for again
	sessionsPerUser = 20             // browsers and terminals; the oldest of a user is forgotten for one more
	mostSessions    = 10_000         // over all; the oldest is forgotten for one more
)

// sessions knows who has signed in, at the dashboard or at the command line. A
// browser holds the key of its session in a cookie, a program shows it as its
// bearer token; here is only the key's hash. Sessions end when they are too old, and
// when somebody signs out; whether the user still has his rights is looked at with
// each request ([identity.held]). All nodes of a hub know them, and a start brings
// them back (see nodes_sessions.go).
// Over the bounds above the oldest is forgotten, and counted as dropped. It is
// safe for concurrent use.
type sessions struct {
	now  func() time.Time
	home string // ends every key: of several nodes, the one that made it
	kept kept   // where they are kept

	mu      sync.Mutex
	known   map[sessionID]session
	order   []sessionID                 // the oldest first; those that are gone are among them
	mine    map[sessionUser][]sessionID // the same, of one user, without those that are gone
	dropped uint64
}

// sessionID is the hash of a session's key; it may be shown to other parts of
// the program.
type sessionID [sha256.Size]byte

type session struct {
	who     auth.Principal
	expires time.Time
	imprint string // of one that was made elsewhere or before the start; who is his name alone until it is asked for
}

type sessionUser struct {
	kind         auth.Kind
	tenant, name string
}

func userKey(p auth.Principal) sessionUser { return sessionUser{p.Kind, p.Tenant, p.Name} }

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, known: map[sessionID]session{}, mine: map[sessionUser][]sessionID{}}
}

// sessionPrefix begins the key of every session.
const sessionPrefix = "tcs_"

// sessionMark parts a key from the name of the node that knows it.
const sessionMark = "."

// open makes a session and answers its key, of 130 random bits.
func (s *sessions) open(who auth.Principal) (key string, expires time.Time) {
	key, expires = sessionPrefix+rand.Text()+s.home, s.now().Add(sessionLife)
	if !who.Expires.IsZero() && who.Expires.Before(expires) {
		expires = who.Expires
	}
	who.Expires = expires
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom(userKey(who))
	id := idOf(key)
	s.add(id, session{who: who, expires: expires})
	s.kept.put(id, who, expires)
	return key, expires
}

// add knows a session; the caller holds the lock.
func (s *sessions) add(id sessionID, x session) {
	s.known[id] = x
	s.order = append(s.order, id)
	s.mine[userKey(x.who)] = append(s.mine[userKey(x.who)], id)
}

// makeRoom forgets what is too old, and the oldest where there are too many.
// The caller holds the lock.
func (s *sessions) makeRoom(user sessionUser) {
	now := s.now()
	for len(s.order) > 0 {
		x, ok := s.known[s.order[0]]
		full := len(s.known) >= mostSessions
		if ok && now.Before(x.expires) && !full {
			break
		}
		if ok && now.Before(x.expires) {
			s.dropped++
		}
		s.end(s.order[0])
		s.order = s.order[1:]
	}
	if mine := s.mine[user]; len(mine) >= sessionsPerUser {
		s.dropped++
		s.end(mine[0])
	}
	if len(s.order) > 2*mostSessions { // most of them are gone
		s.order = slices.DeleteFunc(s.order, func(id sessionID) bool { _, ok := s.known[id]; return !ok })
	}
}

// end forgets a session for all nodes; the caller holds the lock.
func (s *sessions) end(id sessionID) (auth.Principal, bool) {
	who, ok := s.forget(id)
	if ok {
		s.kept.delete(id)
	}
	return who, ok
}

// forget forgets a session, if there is one; the caller holds the lock.
func (s *sessions) forget(id sessionID) (auth.Principal, bool) {
	x, ok := s.known[id]
	if !ok {
		return auth.Principal{}, false
	}
	delete(s.known, id)
	user := userKey(x.who)
	s.mine[user] = slices.DeleteFunc(s.mine[user], func(other sessionID) bool { return other == id })
	if len(s.mine[user]) == 0 {
		delete(s.mine, user)
	}
	return x.who, true
}

// of is who holds a key; false where nobody does, or not any more.
func (s *sessions) of(key string) (auth.Principal, sessionID, bool) {
	id := idOf(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.known[id]
	if ok && x.imprint != "" {
		if x, ok = s.kept.revive(x); ok {
			s.known[id] = x
		}
	}
	return x.who, id, ok && s.now().Before(x.expires)
}

// close ends one session; it answers whose it was.
func (s *sessions) close(id sessionID) (auth.Principal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(id)
}

// count is how many sessions there are, and how many were forgotten early.
func (s *sessions) count() (n int, dropped uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known), s.dropped
}

func idOf(key string) sessionID { return sha256.Sum256([]byte(key)) }
