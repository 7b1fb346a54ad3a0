// Package uplink is a device's connection to the hub: an MQTT 3.1.1 client that
// comes back by itself, with a new Will each time.
//
// # Concepts
//
// A [Client] implements area.Bus. It has one connection at a time, numbered from
// 1; the agent of the device is told when one stands ([Client.Watch]: all
// filters are subscribed by then) and when it is gone, and says what the hub
// shall learn if it dies ([Client.Leave]). [Client.Drop] closes the connection
// without a word, so that the Will is sent, and makes it again: that is how a
// device heals that hears nothing. [Client.Aim] has it connect to another [Target]:
// to the leader of its area, or to the hub through a neighbour who carries the
// connection.
//
// The session is clean and nothing is kept for a later connection: what a device
// has to say it says again by itself, newer.
//
// # Queues
//
// What is published waits in a queue of 256 messages; a batch for which there is
// no room, or no connection, is refused with [ErrFull] or [ErrOffline] and
// counted. What waits when the connection is lost is forgotten and counted.
//
// # Goroutines
//
// [Client.Run] is one; it owns the connection and is the only one that hands
// messages to the MQTT library. The library's own goroutines, which read and
// write the socket and call the subscribers, end with each connection. They are
// why a subscriber must only enqueue.
//
// # Reconnecting
//
// After 200 ms and up to as much again when the connection was dropped by us, or
// the target has changed;
// else after a wait that doubles from 0.5 s to 15 s, of which a random half is
// taken off, over the hubs' addresses in turn. A connection that stood for 5 s
// begins again at the shortest wait. Where the hub's certificate is not valid yet
// the wait is at most 2 s, since it is the clock of this machine that may not be
// set; the certificate is judged by tls.Config.Time, and never passed over.
//
// # What it does not do
//
// No queue across connections, no MQTT 5, no search for a hub; it does not choose
// its target.
package uplink
