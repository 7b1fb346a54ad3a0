package signalr

import "sync/atomic"

// Stats is a snapshot of a server's counts. Counts without "now" only grow.
type Stats struct {
	Connections     int64 // open now, handshake done
	Negotiated      int64 // negotiated and unopened now
	Groups          int64 // groups with members now
	Opened          uint64
	MessagesIn      uint64 // hub messages, pings included
	MessagesOut     uint64 // frames written, pings included
	BytesIn         uint64
	BytesOut        uint64
	Calls           uint64 // invocations of known methods
	FailedCalls     uint64 // of these: ended with an error
	RefusedCalls    uint64 // refused because too many were detached
	GroupSends      uint64 // events sent to groups or to all
	Dropped         uint64 // events to connections that were ending
	SlowDisconnects uint64 // cut because the outbox overflowed or the peer took nothing
	SilentClients   uint64 // cut by ClientTimeoutInterval
	ProtocolErrors  uint64 // cut because of bad input, handshakes included
}

type counters struct {
	connections, groups                                               atomic.Int64
	opened, messagesIn, messagesOut, bytesIn, bytesOut                atomic.Uint64
	calls, failed, refused, groupSends, dropped, slow, silent, faults atomic.Uint64
}

// Stats returns the counts; it is safe for concurrent use and cheap.
func (s *Server) Stats() Stats {
	n := &s.count
	return Stats{
		Connections: n.connections.Load(), Negotiated: int64(s.desk.unopened()), Groups: n.groups.Load(),
		Opened: n.opened.Load(), MessagesIn: n.messagesIn.Load(), MessagesOut: n.messagesOut.Load(),
		BytesIn: n.bytesIn.Load(), BytesOut: n.bytesOut.Load(), Calls: n.calls.Load(), FailedCalls: n.failed.Load(),
		RefusedCalls: n.refused.Load(), GroupSends: n.groupSends.Load(), Dropped: n.dropped.Load(),
		SlowDisconnects: n.slow.Load(), SilentClients: n.silent.Load(), ProtocolErrors: n.faults.Load(),
	}
}
