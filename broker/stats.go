package broker

import "sync/atomic"

// Stats are counts since the start, but for those that say "now".
type Stats struct {
	Connections     int   // clients connected now
	HalfOpen        int   // connections now that have not said CONNECT
	Accepted        int64 // connections taken
	AcceptErrors    int64 // times that taking one failed
	TLSFailures     int64 // TLS handshakes that failed: no common version, no certificate that we trust, no TLS at all
	RefusedConnects int64 // CONNECT refused, with an answer: client id, will, credentials, quotas
	RefusedLogins   int64 // of them, those with a wrong name, password, token or certificate, or from a source that has to wait
	Withdrawn       int64 // connections closed since the rights of their principal were withdrawn, or its proof has expired
	Evicted         int64 // half-open connections that made room for newer ones
	Silent          int64 // connections closed since no CONNECT came in time
	Timeouts        int64 // clients lost after one and a half keep-alives of silence
	SlowConsumers   int64 // clients cut since they did not read
	Takeovers       int64 // connections that replaced one of the same client id
	Stuck           int64 // replaced ones that did not end in time
	Deaf            int64 // connections cut since another had their client id
	TooLarge        int64 // connections closed for a packet over MaxPacketBytes
	Panics          int64 // connections closed since what came made the library or a gate panic
	Oversize        int64 // messages not sent to a client that said it takes none so large
	Unstored        int64 // publications and subscriptions refused since they could not be stored
	Unreadable      int64 // records of the store that the broker could not read when it started
	NotStored       int64 // connections closed since what they sent could not be stored

	Refused       map[string]uint64 // connections, messages and subscriptions refused, by reason
	Dropped       map[string]uint64 // messages that a client missed, by reason; "slow" counts clients
	Braked        int64             // times that a client was held since it sent faster than MaxRate
	NoticesMissed int64             // notices that watchers did not read in time

	RefusedMessages   int64 // publications on topics that only the hub writes, or that the client has no right to
	WithdrawnMessages int64 // queued messages and wills dropped since their client has no right to them any more
	GatedMessages     int64 // publications that a gate refused
	InvalidTopics     int64 // publications whose topic is malformed or over a limit
	RefusedFilters    int64 // subscriptions that are malformed, over a limit, or that the client has no right to
	DroppedMessages   int64 // messages that did not fit the queue of a client
	DroppedQueued     int64 // QoS 1 and 2 messages over MaxQueue, or without a packet id left
	Wills             int64 // wills published
	Moved             int64 // sessions taken over from other nodes with what they had
	Unmoved           int64 // sessions that another node has and did not give: they began anew
	Inherited         int64 // sessions taken over from what nodes have left that are down
	Forsaken          int64 // sessions that another node has, which did not take what was in their queues here
	Unshared          int64 // messages of shared subscriptions that came from another node when nobody had them any more

	Received, Sent           int64 // messages, our own included
	BytesReceived, BytesSent int64 // of MQTT packets
	Retained                 int64 // retained messages now
	RetainedBytes            int64 // of them, the hub's included: topics, payloads and properties, and 2 KiB for each beside
	Subscriptions            int64 // of clients, now
	Queued                   int64 // QoS 1 and 2 messages not acknowledged, now
	Sessions                 int   // now, absent clients included
}

type counters struct {
	accepted, acceptErrors, refusedConnects, evicted, silent, timeouts, slow, takeovers, stuck, deaf, tooLarge, panics atomic.Int64
	refused, gated, badTopics, refusedFilters, wills, unshared, moved, unmoved, inherited, forsaken                    atomic.Int64

	reasons reasons
	braked  atomic.Int64

	notStored, oversize  atomic.Int64 // of the way out
	unstored, unreadable atomic.Int64

	refusedLogins, withdrawn, withdrawnMessages atomic.Int64 // of who the clients are
}

// Stats answers the counts. They are read one by one, not at one instant.
func (b *Broker) Stats() Stats {
	c, info := &b.count, b.server.Info
	return Stats{
		Connections: b.events.len(), HalfOpen: b.half.len(),
		Accepted: c.accepted.Load(), AcceptErrors: c.acceptErrors.Load(), TLSFailures: c.reasons[whyTLS].Load(), RefusedConnects: c.refusedConnects.Load(),
		Evicted: c.evicted.Load(), Silent: c.silent.Load(), Timeouts: c.timeouts.Load(), SlowConsumers: c.slow.Load(),
		Takeovers: c.takeovers.Load(), Stuck: c.stuck.Load(), Deaf: c.deaf.Load(), TooLarge: c.tooLarge.Load(), Panics: c.panics.Load(),
		Refused: c.reasons.counted(whyClientID, whyDisk), Dropped: c.reasons.counted(whySlow, whyPacketIDs),
		Braked: c.braked.Load(), RetainedBytes: b.holdings.bytes.Load(),
		NoticesMissed: b.watchers.missed.Load(),
		NotStored:     c.notStored.Load(), Unstored: c.unstored.Load(), Unreadable: c.unreadable.Load(), Oversize: c.oversize.Load(),
		RefusedLogins: c.refusedLogins.Load(), Withdrawn: c.withdrawn.Load(), WithdrawnMessages: c.withdrawnMessages.Load(),
		RefusedMessages: c.refused.Load(), GatedMessages: c.gated.Load(), InvalidTopics: c.badTopics.Load(),
		RefusedFilters:  c.refusedFilters.Load(),
		DroppedMessages: atomic.LoadInt64(&info.MessagesDropped), DroppedQueued: atomic.LoadInt64(&info.InflightDropped),
		Wills: c.wills.Load(), Unshared: c.unshared.Load(), Moved: c.moved.Load(), Unmoved: c.unmoved.Load(),
		Inherited: c.inherited.Load(), Forsaken: c.forsaken.Load(),
		Received: atomic.LoadInt64(&info.MessagesReceived), Sent: atomic.LoadInt64(&info.MessagesSent),
		BytesReceived: atomic.LoadInt64(&info.BytesReceived), BytesSent: atomic.LoadInt64(&info.BytesSent),
		Retained: atomic.LoadInt64(&info.Retained), Subscriptions: atomic.LoadInt64(&info.Subscriptions),
		Queued: atomic.LoadInt64(&info.Inflight), Sessions: b.server.Clients.Len(),
	}
}
