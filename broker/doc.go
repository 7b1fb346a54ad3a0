// Package broker is the embedded MQTT broker: it carries messages between
// devices, and between devices and the parts of the hub, and it is the only
// package that knows which broker library does the work.
//
// # Concepts
//
// A [Broker] implements [area.Bus] for the parts of the hub, and serves MQTT
// 3.1, 3.1.1 and 5 to devices: on its own listeners, plain and with TLS
// ([Broker.Listen]), and on connections that somebody else accepted
// ([Broker.Establish]). The library
// underneath is mochi-mqtt v2.7.9, whose faults are listed in BROKER.md §2.
// Each is cured here from outside, and the rows are cited where that is done:
//
//   - link is the net.Conn that the library sees. It gives up on a peer that
//     connects and stays silent, bounds what may wait for a peer that does not
//     read, and never blocks a writer. A peer over that bound is cut. What the
//     library writes passes through stages there (way.go): packet ids, Receive
//     Maximum, DUP, and answers that wait for the store.
//   - Messages go from publisher to subscribers by our own way (deliver.go): the
//     library only keeps them in the queues of sessions, and acknowledges; it
//     does not see those that need neither (short.go). An
//     acknowledgement comes when the message is in every queue where it belongs.
//   - hook checks what comes in: client ids, wills, topics, filters, packet ids.
//   - A connection takes over a client id only when the one before it has
//     ended altogether, so a will is published before the birth of the next
//     connection, and no connection is left deaf.
//   - Wills are published by this package, not by the library: that is how a
//     subscriber can tell one ([area.Message].Will).
//
// # Order
//
// Messages of one publisher on one topic stay in order for every subscriber.
// Messages of several publishers on one topic do not: two subscribers may see
// them in different orders, and the retained one need not be the last. So the
// hub's own publications to a topic must all come from one goroutine, as the
// arbiter's for an area do.
//
// The queue of a client that was away comes in the order of publication, before
// what is published after it is back. A message of QoS 1 or 2 that has to wait
// (window.go) does not hold up those of QoS 0, so publish what must stay in order
// at one QoS. Retained messages come as fast as a client takes them, and what is
// published meanwhile may come between them; each shows what is retained when it
// is sent. A shared subscription has no order over its members.
//
// For one client id the order of events is: [ConnEvent] up, its messages, its
// will if it left without a goodbye, [ConnEvent] down, then the next
// connection's up. A will with a delay comes later. Where a connection does not
// end within five seconds of being taken over, which takes a gate that waits for
// so long, its down comes after the next one's up: compare Conn, not arrival.
//
// # Access
//
// With [Config].Auth set and not open a client has to show who it is: by name
// and password, a token in the place of the password, or a client certificate.
// What a principal may do is in broker/auth; here it is kept, on every path:
//
//   - Its client ids are its name, and its name, a colon and anything. So it
//     can neither take over another's connection nor inherit another's session.
//   - A publication without right is answered with reason 0x87 in MQTT 5; in
//     3.1.1, which has no such answer, it is acknowledged, dropped and counted.
//     A will is checked at CONNECT, and once more when it is due.
//   - A filter without right is answered with 0x87, or 0x80; "$share/{group}/"
//     does not count. What is delivered is checked too, since a session and a
//     filter may be older than the rights of today.
//   - A retained message whose publisher might not publish it now is not served.
//   - When rights are withdrawn or change, the principal's connections end at
//     once: MQTT 5 is told 0x98. They end with 0x87 when a token runs out.
//   - Wrong passwords slow their source: 0x9F, in 3.1.1 return code 5.
//
// A tenant's clients live under a mountpoint (tenant.go), and can name nothing
// that is not theirs; the hub's own subscribers see the default tenant alone.
//
// # Open mode
//
// Every client id may connect but those of the hub ([area.ReservedClient]);
// everything may be read, and everything written but the topics that only the
// hub writes ([area.HubOnly]), which is refused as above.
//
// # Limits
//
// Nobody may take more than his share, and who is refused is told why. Each
// limit is a field of [Config]; what it refuses is counted by reason in
// [Stats].Refused or [Stats].Dropped, and told to watchers.
//
//   - A connection is half-open until it has its session. It has ConnectTimeout
//     for all of it: a PROXY header, a TLS handshake, CONNECT, the check of a
//     password. MaxHalfOpen and MaxHalfOpenPerAddr bound them; the oldest makes
//     room, so that nobody can hold the door. So it does where there is no
//     descriptor left.
//   - MaxConnections, MaxPerAddr and MaxSessions refuse a CONNECT: MQTT 5 with
//     0x89 or 0x97 and words, 3.1.1 with code 3. Who comes back to the session
//     of a connection that is still there is let in.
//   - MaxConnectBytes, for who is not known yet, and MaxPacketBytes end the
//     connection: MQTT 5 is told 0x95.
//   - MaxSubscriptions refuses a filter: 0x97, or 0x80 in 3.1.1. MaxRetained,
//     MaxRetainedBytes and MaxRetainedTotal refuse a message, which then goes to
//     nobody: 0x97 in MQTT 5; in 3.1.1 it is acknowledged, dropped and counted. A
//     will over the limit is sent, and not retained.
//   - MaxQueue and MaxQueueBytes drop the newest message for a client that is
//     away, or acknowledges too little; MaxOutputBytes cuts one that does not
//     read.
//   - MaxRate reads a client more slowly. Nothing is lost by it.
//
// The runtime keeps the memory below GOMEMLIMIT as far as the limits let it:
// what they allow is MaxRetainedTotal, MaxQueueBytes for each session, and
// MaxOutputBytes for each client that does not keep up.
//
// [Broker.Watch] tells who connects and ends, who is refused and why, who misses
// messages, and who takes whose client id over.
//
// # Durability
//
// With [Config].Store what the broker acknowledges is on disk before it is
// acknowledged: retained messages; sessions that outlive their connections, with
// owner, protocol and expiry; their subscriptions; the QoS 1 and 2 messages in
// their queues, with packet ids, in order; and the QoS 2 messages of clients that
// are not released. PUBACK, PUBREC, PUBCOMP, SUBACK and UNSUBACK wait for it in
// the connection's way out (barrier.go), and nobody else does: no hook waits for
// the disk. What leaves nothing behind that has to be kept waits for nothing.
//
//   - A subscriber that is connected may see a message before it is durable, and
//     once more if its publisher repeats it after a crash. So whoever claims
//     acts on its grant, not on what it has sent.
//   - QoS 2 is exactly once over a crash, for sessions that are kept: a message
//     to one, and PUBREL, go out once the packet id is on disk.
//   - The hub's own messages, those of QoS 0, and what clients acknowledge are
//     written with the next group, or two seconds later. After a crash a client
//     may be sent again what it acknowledged just before; DUP is set on what it
//     may have seen.
//   - Retained messages that a new subscription has yet to be sent are not part
//     of the session: who loses its connection meanwhile subscribes again. A
//     will that is delayed, or whose client was connected, ends with the process.
//   - What is on disk already is not written again: a retained message that is
//     repeated, or a filter, costs nothing.
//   - After a restart sessions expire as if the process had been there; who was
//     connected counts as gone from the restart on.
//
// While the disk is full, MQTT 5 is refused with reason 0x97 and words. 3.1.1 has
// none: its message is taken, and the acknowledgement comes when there is space
// and it is on disk; a client that does not wait repeats it on its next
// connection. A new subscription of a session that is kept is refused (0x97,
// 0x80). All else goes on. After a write that failed for good nothing that should
// be kept is acknowledged until the next start: MQTT 5 gets 0x97, and a connection
// of 3.1.1 is closed, so that its client tries again, elsewhere if it can.
//
// # Several nodes
//
// With [Config].Relay the brokers of a hub's nodes are one to their clients:
//
//   - What is published at one reaches the subscribers of all, once; of a shared
//     subscription one member over all nodes. Order is kept for each publisher; the
//     messages of two nodes have none.
//   - What is retained is the same at all, and the newest counts (marks.go).
//   - A client id is taken over from another node as from another connection: that one
//     is closed with 0x8E, its will is published, and its session comes here with its
//     queue, before CONNACK (move.go). What is published in that moment may come twice,
//     of QoS 2 too. Where the other node takes more than five seconds for all of it, the
//     session begins anew, and the client is told so.
//   - With [Config].Estates what a node keeps of its sessions is with the others too: an
//     acknowledgement waits for that as it does for the disk. Where a node is gone, or
//     does not say within two seconds that it is there, its sessions go on elsewhere, as
//     they were acknowledged: when the client comes, and all of them when the node is
//     down ([Broker.Adopt]). A node that comes back hands on what it alone had (heirs.go,
//     leave.go). Of a node that was only silent messages of QoS 2 may come twice.
//   - An acknowledgement says what this node has done and has on disk. The others get
//     the message at most once; what is lost on the way is counted there.
//   - The topics by which areas are arbitrated are each node's own ([relay.Carries]).
//
// # Goroutines
//
// [Broker.Run] owns an accept loop per listener and one goroutine per connection;
// [Broker.Establish] uses its caller's. What is put into outputs is written by
// the sweep, at most one goroutine for each processor, which are there while
// something waits. A connection whose peer does not take its bytes at once has a
// flusher, which ends when the bytes are gone, the write deadline is over, or the
// connection closes (at most a second later). A delayed will is a timer. What is
// retained and has expired is taken away once a second. One gives up what other nodes
// have taken over. Run waits for all of them. The library adds a write loop per connection, which
// has something to do for subscribers of $SYS alone, and one event loop; both
// end with their owner.
//
// # What it does not do
//
// There is no bridge to other brokers, and no enhanced authentication (AUTH). It
// knows nothing of the way to other nodes: see [Config].Relay. Topic aliases are neither sent nor taken.
//
// # Conformance
//
// The interoperability suite of Eclipse Paho (paho.mqtt.testing) passes with 10
// of 10 tests of 3.1.1 and 26 of 27 of 5, where MaxKeepAlive is a minute and
// DenyFilters has "test/nosubscribe", which are what test_server_keep_alive and
// test_subscribe_failure expect, and all else has its default. The one that fails
// is test_server_topic_alias, which wants aliases sent.
package broker
