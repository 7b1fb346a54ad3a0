// Package signalr is a SignalR server: it lets clients such as @microsoft/signalr
// call methods of a hub and pushes events to single clients and to groups. It is
// a library of its own and knows nothing of what the hub is for.
//
// # Concepts
//
// A [Server] is one hub, mounted at its path as an http.Handler ([Server.At]
// mounts it without regard to case). A client negotiates, opens a transport and
// shakes hands; it then is a [Conn] with a public id, a [Principal], and the query,
// headers and cookies of its opening request.
//
// A connection is apart from its transport, which is a WebSocket, server-sent
// events (text alone) or long polling. With AllowStatefulReconnects a client that
// asks for it keeps its connection (id, groups, values, running calls) when its
// WebSocket breaks: what each side has sent is numbered and kept until the other
// acknowledges it, and sent again on the next WebSocket, which takes over also
// while the old one still looks alive. What a client proves (Principal.Expires)
// can be renewed by POST …/refresh while it is connected; a connection whose
// proof runs out is closed.
//
// A hub method is a [Handler] or a [StreamHandler]; it gets a [Call]. [Func1],
// [Do1], [Stream1] and their like make one from a Go function, with its arguments
// bound. The calls of one connection run one at a time and in the order in which
// they came (MaximumParallelInvocationsPerClient). Calls with server streams or
// uploads ([Upload]) run beside them: they start in their turn, and end when they
// like. A method that has to wait for something else detaches its call
// ([Call.Detach]): the next call runs, and the [Reply] is completed later. A
// method may ask its client, or another one, and wait ([Conn.Invoke], [Ask]);
// later calls of that client wait with it, streams and everything else do not. A
// client's cancellation ends the context of the call at once, and the call is
// completed when the method returns. What a handler returns becomes the completion:
// nil is "no result", [Null]{} is a null result, an error made by [Error] is shown
// to the caller, any other error is not (unless EnableDetailedErrors).
//
// Events go to a connection ([Conn.Send]) or to a [Target]: all, groups, ids,
// users, connections with an attribute, and each of them but some. [Event1] and
// [Question1] and their like are the typed face of the clients, checked by the
// compiler. Code that is no method sends through a [HubContext]. An event is
// encoded once in each protocol that is spoken by those whom it reaches, and its
// frame is shared; a [Burst] has what comes together written together. Sending
// never blocks, but the items of a stream wait for their client. To one
// connection, everything that one goroutine sends stays in order, completions
// included; the events of one group have one order, the same for every member.
//
// Who may connect, call a method or join a group is said by a [Requirement]:
// [Config].Require, [Method].Require, [Server.RequireForGroups]. It sees the
// [Principal] that Authenticate gave, as last refreshed. A [Filter] stands around
// calls, connects and disconnects; requirements are met before it.
//
// Each group has a [Position]: an epoch, and an offset that counts its events.
// [Conn.Join] returns the position behind which the connection sees every event.
// A group keeps its epoch and offset while it is empty; the server remembers
// IdleGroups such groups and forgets the one that has been empty longest, so a
// position that was given out is either continued or has another epoch.
//
// # Nodes
//
// A [Cluster] joins servers of several processes: what is sent to a target, and what
// is asked of it, reaches its connections wherever they are ([Server.Hear],
// [Server.Answer]). The server's own are served first and without it. Package
// bridge/backplane has one.
//
// A [Log] numbers the events of groups for all nodes: a position of one is a position at
// every other ([Conn.JoinSince], [Conn.JoinAt]). Such events reach the server's own
// members, too, when they have their number, in one order everywhere. A node that has
// lost the log counts alone; its members are told before it does, and once more when all
// count as one again, or when something did not come ([Config].Repositioned).
//
// A request for a connection that reaches another node than the connection's (its
// token ends with that node's name) is handed to [Config].Forward, so that a balancer
// need not keep a client at one node.
//
// # Queues
//
// Events of a numbered group that wait for one before them: 1,024 with a number, more are
// read again from the log, and 8,192 without, of which the oldest goes out for one more
// ([Stats.Passed]). Events of other nodes: 8,192 for each of as many workers as there are processors;
// more are dropped ([Stats.Unheard]). Outgoing: OutboxBytes per connection; a connection that overflows it, or whose
// peer takes nothing for TransportSendTimeout, is cut ([Stats.SlowDisconnects]).
// Incoming calls: a connection of which MaximumQueuedCalls wait is not read until
// one ends; such a connection is not held to be silent. Items of an upload: the
// same at StreamBufferCapacity. While a method waits for an answer or for an item
// of that connection, it is read all the same, because what is waited for may come
// behind: then sixteen times as many calls are taken, and more are answered by an
// error ([Stats.RefusedCalls]); and so many items that an upload which is read so
// late fails. Items of server streams: they wait while 64 KiB are queued.
// Unanswered calls with streams: MaximumStreams, then calls are answered by an
// error. Awaited answers of one client: MaximumPendingResults, then asking fails.
// Detached calls: at most
// MaximumDetachedCalls per connection, then calls are answered by an error
// ([Stats.RefusedCalls]). Unacknowledged messages of a connection that can be
// resumed: OutboxBytes and StatefulReconnectBufferSize, then it is cut as slow. The
// body of a POST: MaximumPostSize, then 413; nothing of it is kept, a POST waits
// until it is read. Negotiated but unopened connections: MaximumNegotiated,
// then negotiation answers 503. Groups of one connection: MaximumGroups, then
// joining fails.
//
// # Goroutines
//
// Per connection: a reader, which owns the connection, started by ServeHTTP; ends
// with the connection, whose transports it reads one after the other. It runs a
// lone call itself; when that takes longer than an instant another goroutine
// becomes the reader (inline.go). Other calls run in
// workers of the server, started when a call comes; a few of them wait for the
// next one until Run ends (crew.go). Calls with streams have goroutines of their
// own. What is sent is written by the sender, or for groups by one worker for
// each processor, started when something is queued, which ends when nothing is
// (writer.go); a peer that takes nothing at once, and every connection that is no
// plain TCP, is written to by a drain, which ends when the queue is empty. The
// reader waits for its calls and drains; [Server.Run] waits for every reader and
// worker. Run's own goroutine pings, finds silent clients and long calls, and
// forgets unopened negotiations.
//
// # What it does not do
//
// Without a [Log] positions of groups are a node's own: a client that comes back to
// another node finds another epoch. No word to a client whose answer is no longer wanted:
// the protocol has none.
package signalr
