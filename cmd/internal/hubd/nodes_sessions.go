package hubd

import (
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/tacet-hub/tacet/broker/auth"
)

// sessionTable is what sessions are kept in; shared.Table is one.
type sessionTable interface {
	Load(each func(key string, value []byte) error) error
	PutAsync(key string, value []byte, done func(error))
	DeleteAsync(key string, done func(error))
}

// kept keeps sessions in a table, by the hash of their keys. The zero value keeps
// nothing.
type kept struct {
	table sessionTable // nil: none
	auth  *auth.Authority
	log   *slog.Logger
}

// keptSession is a session as it is kept. It says nothing of the user's password or
// rights: an imprint shows that they are still the same.
type keptSession struct {
	Name    string    `json:"name"`
	Kind    auth.Kind `json:"kind"`
	Tenant  string    `json:"tenant"`
	Imprint string    `json:"imprint"`
	Expires time.Time `json:"expires"`
}

func (k kept) put(id sessionID, who auth.Principal, expires time.Time) {
	if k.table == nil {
		return
	}
	x := keptSession{Name: who.Name, Kind: who.Kind, Tenant: who.Tenant, Imprint: k.auth.Imprint(who), Expires: expires}
	value, err := json.Marshal(x)
	if err != nil || x.Imprint == "" { // it ends with the process
		return
	}
	k.table.PutAsync(hex.EncodeToString(id[:]), value, k.said)
}

func (k kept) delete(id sessionID) {
	if k.table != nil {
		k.table.DeleteAsync(hex.EncodeToString(id[:]), k.said)
	}
}

func (k kept) said(err error) {
	if err != nil {
		k.log.Warn("session is not kept", "err", err)
	}
}

// revive makes a session that was made elsewhere one of this process; false while the
// user's rights are not what they were then.
func (k kept) revive(x session) (session, bool) {
	who, ok := k.auth.Revive(x.who.Name, x.imprint)
	who.Expires = x.expires
	return session{who: who, expires: x.expires}, ok
}

// keepIn keeps the sessions in a table, and brings back those that are there. It is
// called once, before the first is opened.
func (s *sessions) keepIn(table sessionTable, a *auth.Authority, log *slog.Logger) error {
	s.kept = kept{table: table, auth: a, log: log}
	return table.Load(func(key string, value []byte) error {
		s.changed(key, value)
		return nil
	})
}

// changed takes in a session that was opened elsewhere, or has ended there (value nil):
// then it answers that, and whose.
func (s *sessions) changed(key string, value []byte) (id sessionID, ended bool) {
	b, err := hex.DecodeString(key)
	if err != nil || len(b) != len(id) {
		return id, false
	}
	copy(id[:], b)
	var x keptSession
	if value != nil && json.Unmarshal(value, &x) != nil {
		return id, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.known[id]
	switch {
	case value == nil:
		_, ended = s.forget(id)
	case known:
	case !s.now().Before(x.Expires):
		s.kept.delete(id)
	default:
		who := auth.Principal{Name: x.Name, Kind: x.Kind, Tenant: x.Tenant}
		s.makeRoom(userKey(who))
		s.add(id, session{who: who, expires: x.Expires, imprint: x.Imprint})
	}
	return id, ended
}

// sessionChanged takes in the sessions of other nodes. The hub connections that were
// opened with one that has ended end too.
func (h *Hub) sessionChanged(key string, value []byte) {
	if id, ended := h.who.sessions.changed(key, value); ended {
		h.closeSession(id)
	}
}
