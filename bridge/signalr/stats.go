package signalr

import "sync/atomic"

// Stats is a snapshot of a server's counts. Counts without "now" only grow.
type Stats struct {
	Connections     int64  // open now, handshake done
	Negotiated      int64  // negotiated and unopened now
	Detached        int64  // of the connections: waiting for a new transport now
	Groups          int64  // groups with members now
	Streams         int64  // server streams that run now
	Opened          uint64 // connections so far, handshake done or not
	MessagesIn      uint64 // hub messages, pings included
	MessagesOut     uint64 // frames written, pings included
	BytesIn         uint64 // of hub messages, without the frames around them
	BytesOut        uint64 // with the frames around them
	Calls           uint64 // invocations of known methods
	FailedCalls     uint64 // of these: ended with an error
	RefusedCalls    uint64 // refused because too many were unanswered
	DeniedCalls     uint64 // requests, calls and joins of those who may not
	LateMessages    uint64 // items and completions for what has ended
	GroupSends      uint64 // events sent to groups or to all
	Dropped         uint64 // events to connections that were ending
	Conflated       uint64 // events that a newer one of their key has replaced
	Replayed        uint64 // events of groups that came to a client late, by JoinSince
	SlowDisconnects uint64 // cut because the outbox overflowed or the peer took nothing
	Resumed         uint64 // connections that got a new transport
	SilentClients   uint64 // cut by ClientTimeoutInterval
	ProtocolErrors  uint64 // cut because of bad input, handshakes included
	Unspread        uint64 // events that other nodes could not be handed
	Heard           uint64 // events of other nodes
	Unheard         uint64 // of these, dropped: malformed, or the queue was full
	Unnumbered      uint64 // events of numbered groups that went out while the log was away
	ReadAgain       uint64 // events of numbered groups that were read from the log, since they had not come
	Passed          uint64 // events of numbered groups that were waited for in vain, or gone from the log
}

type counters struct {
	connections, detached, groups, streams            atomic.Int64
	opened, failed, refused, denied, late, groupSends atomic.Uint64
	dropped, slow, resumed, silent, faults, lastTally atomic.Uint64
	conflated, replayed                               atomic.Uint64

	clusterCounts

	tallies [64]tally
}

// tally counts what happens all the time, for some of the connections: one word
// that every processor writes to would take longer than the rest of a short
// call.
type tally struct {
	messagesIn, messagesOut, bytesIn, bytesOut, calls atomic.Uint64
	_                                                 [24]byte // the next one is another processor's
}

// tally gives a connection its counts.
func (n *counters) tally() *tally {
	return &n.tallies[n.lastTally.Add(1)%uint64(len(n.tallies))]
}

// Stats returns the counts; it is safe for concurrent use and cheap.
func (s *Server) Stats() Stats {
	n := &s.count
	all := Stats{
		Connections: n.connections.Load(), Negotiated: int64(s.desk.unopened()), Detached: n.detached.Load(),
		Groups: n.groups.Load(), Streams: n.streams.Load(), Opened: n.opened.Load(), FailedCalls: n.failed.Load(),
		RefusedCalls: n.refused.Load(), DeniedCalls: n.denied.Load(), LateMessages: n.late.Load(),
		GroupSends: n.groupSends.Load(), Dropped: n.dropped.Load(), SlowDisconnects: n.slow.Load(),
		Conflated: n.conflated.Load(), Replayed: n.replayed.Load(),
		Resumed: n.resumed.Load(), SilentClients: n.silent.Load(), ProtocolErrors: n.faults.Load(),
		Unspread: n.unspread.Load(), Heard: n.heard.Load(), Unheard: n.unheard.Load(),
		Unnumbered: n.loose.Load(), ReadAgain: n.filled.Load(), Passed: n.passed.Load(),
	}
	for i := range n.tallies {
		t := &n.tallies[i]
		all.MessagesIn += t.messagesIn.Load()
		all.MessagesOut += t.messagesOut.Load()
		all.BytesIn += t.bytesIn.Load()
		all.BytesOut += t.bytesOut.Load()
		all.Calls += t.calls.Load()
	}
	return all
}
