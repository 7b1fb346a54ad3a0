// Package viewd is another host of the hub: it serves the dashboard and the device hub's
// read side, and has neither broker nor arbiters nor a store. It joins the nodes of a hub
// by their Redis-compatible server.
//
// # Concepts
//
// The hub library is that of tacet serve (bridge/signalr), in the same cluster: what is
// sent to a group, a user or a connection reaches who is connected here. What a node of
// the hub tells its own connections alone comes by a window (bridge/window) of one of
// them, the source. REST, clips and sign-in are handed on to the source too
// (bridge/forward).
//
// Who may see what is the source's to say: each connection is asked for there with what
// it shows (cookie or token), and is a member of the areas alone that the source lists
// for it. A right that is withdrawn later ends here when the connection does, which is
// after [shift] at the latest.
//
// Without a source the page is served and says that the hub is degraded.
//
// # Goroutines
//
// [View.Run] starts and ends them: the mux, the census, the window, the forwarder, the
// hub and the web server.
//
// # What it does not do
//
// It does not take devices, orders of hub methods, or what a client would change; by REST
// all of it works, since the source serves that.
package viewd
