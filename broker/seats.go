package broker

import (
	"sync"

	"github.com/mochi-mqtt/server/v2/packets"
)

// seats bounds the clients that are connected, in all and per address. The
// overflow policy is to refuse the newcomer, and to say why.
type seats struct {
	b *Broker

	mu    sync.Mutex
	taken int
	at    map[string]int // by address
}

// Refusals for want of a seat. What is full may be free again later, which is
// what 0x89 says; the others are the client's own doing.
var (
	errFull     = packets.Code{Code: packets.ErrServerBusy.Code, Reason: "too many clients are connected"}
	errPerAddr  = packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: "too many clients are connected from this address"}
	errSessions = packets.Code{Code: packets.ErrQuotaExceeded.Code, Reason: "too many sessions are kept"}
)

// take gives a client that says CONNECT, and is who it says, a seat. One whose old connection still
// has one is let in: that one will leave. So is one that comes back to its
// session, as far as sessions go.
func (s *seats) take(l *link, id string) (reason, packets.Code) {
	returns := s.b.sessions.get(id) != nil
	_, known := s.b.server.Clients.Get(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case returns:
	case s.taken >= s.b.cfg.MaxConnections:
		return whyConnections, errFull
	case s.at[l.host] >= s.b.cfg.MaxPerAddr:
		return whyAddress, errPerAddr
	case !known && s.b.server.Clients.Len() >= s.b.cfg.MaxSessions:
		return whySessions, errSessions
	}
	if s.at == nil {
		s.at = map[string]int{}
	}
	s.taken++
	s.at[l.host]++
	l.seated = true
	return noReason, packets.CodeSuccess
}

// leave gives the seat of a connection back, if it has one.
func (s *seats) leave(l *link) {
	if !l.seated {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
	if s.at[l.host]--; s.at[l.host] == 0 {
		delete(s.at, l.host)
	}
}
