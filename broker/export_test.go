package broker

import "net"

// SetListener makes the broker serve a listener of the test's.
func (b *Broker) SetListener(ln net.Listener) { b.listener = ln }

// SetLastMessage moves the count that queues are ordered by.
func (b *Broker) SetLastMessage(n int64) { b.lastMsg.Store(n) }
