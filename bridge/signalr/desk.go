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
// with which it is opened.
type ticket struct {
	id, token, user string
	expires         time.Duration // on the server's clock
	open            bool
	waiting         *list.Element // place among the unopened, nil once opened
}

// desk gives out tickets and takes them back. A ticket exists from negotiation
// until its connection has ended.
type desk struct {
	limit int

	mu      sync.Mutex
	tickets map[string]*ticket // by token
	waiting list.List          // unopened tickets, oldest first
}

func newDesk(limit int) *desk { return &desk{limit: limit, tickets: make(map[string]*ticket)} }

// issue makes an unopened ticket, or nil when too many are unopened. Without a
// secret (negotiate version 0) the id is the token.
func (d *desk) issue(user string, secret bool, expires time.Duration) *ticket {
	t := &ticket{id: newID(), user: user, expires: expires}
	if t.token = t.id; secret {
		t.token = newID()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting.Len() >= d.limit {
		return nil
	}
	d.tickets[t.token] = t
	t.waiting = d.waiting.PushBack(t)
	return t
}

// walkIn makes an opened ticket for a connection that did not negotiate. Its
// token is known to nobody.
func (d *desk) walkIn(user string) *ticket {
	t := &ticket{id: newID(), token: newID(), user: user, open: true}
	d.mu.Lock()
	d.tickets[t.token] = t
	d.mu.Unlock()
	return t
}

// take opens a ticket. Without one it gives the status to answer with.
func (d *desk) take(token, user string) (*ticket, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.tickets[token]
	switch {
	case t == nil:
		return nil, http.StatusNotFound
	case t.user != user:
		return nil, http.StatusForbidden
	case t.open:
		return nil, http.StatusConflict
	}
	t.open = true
	d.waiting.Remove(t.waiting)
	t.waiting = nil
	return t, http.StatusOK
}

// known says whether a connection with this token exists.
func (d *desk) known(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tickets[token] != nil
}

// giveBack ends an opened ticket.
func (d *desk) giveBack(t *ticket) {
	d.mu.Lock()
	delete(d.tickets, t.token)
	d.mu.Unlock()
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
		d.waiting.Remove(e)
		delete(d.tickets, t.token)
	}
}

// unopened counts the tickets that nobody has opened.
func (d *desk) unopened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting.Len()
}
