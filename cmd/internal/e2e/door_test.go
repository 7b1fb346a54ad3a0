package e2e

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
)

// door is an address that stays the same while hubs behind it come and go.
type door struct {
	listener net.Listener
	work     sync.WaitGroup

	mu    sync.Mutex // guards what follows
	to    string     // host:port; empty: nobody is behind it
	conns map[net.Conn]struct{}
}

// newDoor opens a door that leads nowhere yet.
func newDoor(t *testing.T) *door {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{listener: l, conns: map[net.Conn]struct{}{}}
	d.work.Go(d.accept)
	t.Cleanup(func() {
		_ = l.Close()
		d.lead(t, "")
		d.work.Wait()
	})
	return d
}

// lead makes the door lead to the host of a URL, or nowhere, and ends the
// connections to where it led before.
func (d *door) lead(t testing.TB, address string) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.to = u.Host
	for c := range d.conns {
		_ = c.Close()
	}
}

// addr is the door's host:port.
func (d *door) addr() string { return d.listener.Addr().String() }

func (d *door) accept() {
	for {
		c, err := d.listener.Accept()
		if err != nil {
			return
		}
		d.work.Go(func() { d.pass(c) })
	}
}

func (d *door) pass(c net.Conn) {
	defer c.Close()
	d.mu.Lock()
	to := d.to
	d.mu.Unlock()
	if to == "" {
		return
	}
	inner, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer inner.Close()
	d.mu.Lock()
	if d.to != to { // closed in between
		d.mu.Unlock()
		return
	}
	d.conns[c], d.conns[inner] = struct{}{}, struct{}{}
	d.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, inner}, {inner, c}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // an error is the end of the connection
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
	d.mu.Lock()
	delete(d.conns, c)
	delete(d.conns, inner)
	d.mu.Unlock()
}
