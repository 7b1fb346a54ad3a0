// Package transport carries bytes between a client and a server over
// WebSockets, server-sent events and long polling. It is the only package that
// knows the WebSocket library.
//
// # Concepts
//
// A [Socket] is the server's end as the hub uses it: the library upgrades the
// request and reads; it never writes while the socket lives. What the server
// sends is built beforehand as whole, unmasked frames ([Seal], [CloseFrame],
// [PongFrame]) and written to the raw connection by whoever owns the queue, so
// one frame can be shared by many sockets and several can go in one write.
// Pings and close frames of the peer are handed to the owner, who answers them
// in order with everything else. A plain TCP connection is read and written by
// system calls of which the scheduler is not told (quick.go, now_linux.go), because
// they cannot block.
//
// An [EventStream] and [Polls] are the same for clients without WebSockets: what
// the server sends is the same frames, whose headers they take off; what the
// client sends comes by POST and is read as one stream. A POST waits until the
// reader has taken it, and they come in order.
//
// [NetConn] makes a byte stream of a WebSocket with binary messages (MQTT over
// WebSockets). [Dial] is a client's end, for tests and for devices written in
// Go.
//
// The edges of messages mean nothing here: bytes come out as they came in.
//
// # Queues
//
// [Polls] holds 64 KiB between two polls; then writing waits. Nothing else here is
// kept.
//
// # What it does not do
//
// No goroutines, no hub protocol, no compression (its memory costs
// more than it saves at the size of hub messages).
package transport
