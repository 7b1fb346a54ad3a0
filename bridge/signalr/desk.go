package signalr

import (
	"container/list"
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"sync"
	"time"
)

// newID gives 128 random bits as text that needs no escaping in a URL.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ticket is one negotiated connection: its public id, and the secret token
// with which it is opened. What is not set when it is issued is guarded by the
// desk.
type ticket struct {
	id, token, user string
	stateful        bool          // may be resumed
	expires         time.Duration // on the server's clock
	waiting         *list.Element // place among the unopened, nil once opened
	by              Transports    // the transport, once opened
	conn            *Conn         // once it serves
	back            bool          // it was given back
}

// wish is what a client negotiates for.
type wish struct {
	user     string
	secret   bool // the token is not the id (negotiate version 1)
	stateful bool
}

// desk gives out tickets and takes them back. A ticket exists from negotiation
// until its connection has ended.
type desk struct {
	limit   int                   // unopened tickets
	perUser int                   // tickets of one user; 0 is no limit
	others  func(user string) int // of his connections at other nodes
	newID   func() string

	mu      sync.Mutex
	tickets map[string]*ticket // by token
	waiting list.List          // unopened tickets, oldest first
	users   map[string]int     // how many tickets a user has, if that is limited
}

func newDesk(cfg Config) *desk {
	return &desk{
		limit: cfg.MaximumNegotiated, perUser: cfg.MaximumConnectionsPerUser, others: cfg.Elsewhere, newID: cfg.newConnID,
		tickets: make(map[string]*ticket), users: make(map[string]int),
	}
}

// issue makes an unopened ticket. Without one it gives the status to answer
// with.
func (d *desk) issue(w wish, expires time.Duration) (*ticket, int) {
	t := &ticket{id: d.newID(), user: w.user, stateful: w.stateful, expires: expires}
	if t.token = t.id; w.secret {
		t.token = d.newID()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting.Len() >= d.limit {
		return nil, http.StatusServiceUnavailable
	}
	if !d.enter(t) {
		return nil, http.StatusTooManyRequests
	}
	t.waiting = d.waiting.PushBack(t)
	return t, http.StatusOK
}

// walkIn makes an opened ticket for a connection that did not negotiate. Its
// token is known to nobody.
func (d *desk) walkIn(user string) (*ticket, int) {
	t := &ticket{id: d.newID(), token: newID(), user: user, by: WebSockets}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.enter(t) {
		return nil, http.StatusTooManyRequests
	}
	return t, http.StatusOK
}

// enter files a ticket; false when its user has too many.
func (d *desk) enter(t *ticket) bool {
	if d.perUser > 0 && t.user != "" {
		if d.users[t.user]+d.others(t.user) >= d.perUser {
			return false
		}
		d.users[t.user]++
	}
	d.tickets[t.token] = t
	return true
}

// find returns the ticket of a token, if it is that user's. Without one it gives
// the status to answer with.
func (d *desk) find(token, user string) (*ticket, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tickets[token]
	switch {
	case t == nil:
		return nil, http.StatusNotFound
	case t.user != user:
		return nil, http.StatusForbidden
	}
	return t, http.StatusOK
}

// take opens a ticket by a transport; first is false when it was open already
// and another request of this transport may come. The status is 200, or what to
// answer with.
func (d *desk) take(t *ticket, by Transports) (first bool, status int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case t.back:
		return false, http.StatusNotFound
	case t.by == 0 && d.perUser > 0 && t.user != "" && d.users[t.user]+d.others(t.user) > d.perUser:
		return false, http.StatusTooManyRequests // he came in elsewhere since
	case t.by == 0:
		t.by = by
		d.waiting.Remove(t.waiting)
		t.waiting = nil
		return true, http.StatusOK
	case t.by != by:
		return false, http.StatusBadRequest
	case by == LongPolling || by == WebSockets && t.stateful:
		return false, http.StatusOK
	}
	return false, http.StatusConflict
}

// bind notes which connection has the ticket.
func (d *desk) bind(t *ticket, c *Conn) {
	d.mu.Lock()
	t.conn = c
	d.mu.Unlock()
}

// conn returns the ticket's connection; nil when there is none yet.
func (d *desk) conn(t *ticket) *Conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	return t.conn
}

// giveBack ends a ticket; once is enough.
func (d *desk) giveBack(t *ticket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(t)
}

func (d *desk) drop(t *ticket) {
	if t.back {
		return
	}
	t.back = true
	delete(d.tickets, t.token)
	if t.waiting != nil {
		d.waiting.Remove(t.waiting)
		t.waiting = nil
	}
	if d.perUser > 0 && t.user != "" {
		if d.users[t.user]--; d.users[t.user] == 0 {
			delete(d.users, t.user)
		}
	}
}

// expire drops the unopened tickets whose time has come.
func (d *desk) expire(now time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := d.waiting.Front(); e != nil; e = d.waiting.Front() {
		t := e.Value.(*ticket)
		if t.expires > now {
			return
		}
		d.drop(t)
	}
}

// unopened counts the tickets that nobody has opened.
func (d *desk) unopened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting.Len()
}
