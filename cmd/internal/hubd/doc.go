// Package hubd assembles the hub: it makes every part, hands each what it needs,
// starts them in order and stops them in order.
//
// # Concepts
//
// [New] builds and binds nothing; [Hub.Run] opens the store, binds the
// listeners, writes ready.json and serves until its context ends. Then the hub
// drains: first what takes new work in (web, hub connections, which are told
// that they may reconnect, scheduler), then what does it (orders, bridge), then
// the arbiter with its last records, then the broker, then the store.
//
// # Goroutines
//
// Run starts one for each part and for each listener, and waits for all of them.
//
// # What it does not do
//
// It decides nothing. Nothing of the domain lives here; what looks like it is an
// adapter of five lines between two packages that do not know each other.
package hubd
