// Package forward serves at one node of a hub what belongs to another: it hands the
// request on to that node's web listener, and the answer back.
//
// # Concepts
//
// A balancer that knows nothing of connections sends the requests of one client to
// any node: the poll, the POST, the WebSocket of a connection that another one has,
// or a request with a session that was opened elsewhere. A [Forwarder] is asked to
// serve those. Where a node is, it asks a [Finder], and remembers as long as that
// works.
//
// A request is handed on once: one that comes from another node is never sent
// further. Bodies, streams and WebSockets go through as they are, with the host that
// the client named. A node that serves TLS is known by its certificate's hash.
//
// # Limits
//
// At most [Config.Most] requests are under way; more are answered 503, and counted
// ([Stats.Refused]). What is under way ends with its client, with the other node, and
// with Run.
package forward
