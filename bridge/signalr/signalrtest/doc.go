// Package signalrtest is a SignalR client for tests, demonstrations and
// simulated devices: it negotiates, opens a transport, shakes hands, pings,
// invokes and listens, in either encoding.
//
// # Concepts
//
// [Dial] connects a [Client], over the network or, with a [Pipe], in-process
// without any socket, fit for testing/synctest. Handlers of events run one at a
// time and in the order in which the events came; they may invoke.
//
// # Goroutines
//
// Per client: a reader, a runner of handlers and a pinger, and with stateful
// reconnect one that acknowledges. All end when the connection ends; [Client.Closed] is closed when the reader has ended, and
// [Client.Close] waits for all of them.
//
// # Queues
//
// Events that wait for their handlers: at most 100,000, then the client ends
// with [ErrOverflow].
//
// # What it does not do
//
// It does not reconnect: who wants that dials again. (With Options.Stateful it
// resumes its connection, as long as the server keeps it.)
package signalrtest
