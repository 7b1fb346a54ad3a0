// Package backplane carries messages between the nodes of one hub: at most once,
// in the order of their sender, and with every gap told.
//
// # Concepts
//
// A node is one running hub process. Each has an inbox, which is addressed by the
// node's name; what is meant for nobody in particular (a group, a user, everybody)
// goes over one of [Partitions] hashed channels, to which a node listens while it
// has somebody there ([Plane.Listen]). So a connection that comes or goes costs
// the server between the nodes nothing.
//
// An [Envelope] is numbered by its origin, per channel. A receiver knows from the
// numbers what it missed: [Tracker] sorts out what is new, what came twice and what
// is missing, for whichever implementation. A gap that cannot be made good from the
// bounded history is told to [Handler.Missed], never passed over.
//
// # What it does not do
//
// It is no queue: what nobody listens to is gone. A sender does not hear itself; it
// serves its own connections first, without the hop. It decides nothing: who has an
// area is the ledger's business.
//
// # Implementations
//
// [Exchange] joins nodes of one process, and one node alone. Package bridge/redis
// joins processes over a Redis-compatible server. Both pass the contract in
// bridge/backplane/backplanetest.
package backplane
