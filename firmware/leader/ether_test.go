package leader

import (
	"context"
	"errors"
	"log"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// ether is a network of channels: in it memberships work in a bubble, whose time
// sockets would stop. What is cut is lost without a word, as on a real one.
type ether struct {
	mu    sync.Mutex
	wires map[string]*wire        // by address and port
	away  map[netip.Addr]struct{} // who is cut off from all others
	loss  float64                 // the part of the packets that gets lost
}

func newEther() *ether { return &ether{wires: map[string]*wire{}, away: map[netip.Addr]struct{}{}} }

// network is the ether as a seat has it; hub tells whether the hub takes a
// connection.
func (e *ether) network(hub func() bool) network {
	return network{
		hold: func(ip netip.Addr, port uint16) (*held, netip.AddrPort, error) {
			return nil, netip.AddrPortFrom(ip, port), nil
		},
		join: func(at netip.AddrPort, _ *log.Logger) (memberlist.Transport, error) {
			w := &wire{ether: e, at: at, packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn, 64)}
			e.mu.Lock()
			e.wires[at.String()] = w
			e.mu.Unlock()
			return w, nil
		},
		dial: func(context.Context, []string) (netip.Addr, bool) { return netip.Addr{}, hub() },
	}
}

// cut has nothing pass from or to an address, until it is mended.
func (e *ether) cut(ip netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.away[ip] = struct{}{}
}

func (e *ether) mend() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.away)
}

// find finds who is at an address; passes is whether anything arrives there.
func (e *ether) find(from *wire, addr string) (to *wire, passes bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	to, there := e.wires[addr]
	if !there {
		return nil, true
	}
	_, fromAway := e.away[from.at.Addr()]
	_, toAway := e.away[to.at.Addr()]
	return to, !fromAway && !toAway && (e.loss == 0 || rand.Float64() >= e.loss)
}

// wire is the transport of one membership.
type wire struct {
	ether   *ether
	at      netip.AddrPort
	packets chan *memberlist.Packet // what does not fit is lost
	streams chan net.Conn
}

var errNobody = errors.New("nobody is there")

func (w *wire) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return w.at.Addr().AsSlice(), int(w.at.Port()), nil
}

func (w *wire) PacketCh() <-chan *memberlist.Packet { return w.packets }
func (w *wire) StreamCh() <-chan net.Conn           { return w.streams }

func (w *wire) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	if to, passes := w.ether.find(w, addr); to != nil && passes {
		select {
		case to.packets <- &memberlist.Packet{Buf: append([]byte(nil), b...), From: net.UDPAddrFromAddrPort(w.at), Timestamp: now}:
		default:
		}
	}
	return now, nil
}

// DialTimeout connects; to where nothing passes it takes its time.
func (w *wire) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	to, passes := w.ether.find(w, addr)
	if !passes {
		time.Sleep(timeout)
		return nil, context.DeadlineExceeded
	}
	if to == nil {
		return nil, errNobody
	}
	ours, theirs := net.Pipe()
	select {
	case to.streams <- theirs:
		return ours, nil
	default:
		return nil, errors.Join(errNobody, ours.Close(), theirs.Close())
	}
}

// Shutdown takes it off the ether, once.
func (w *wire) Shutdown() error {
	w.ether.mu.Lock()
	defer w.ether.mu.Unlock()
	if w.ether.wires[w.at.String()] == w {
		delete(w.ether.wires, w.at.String())
	}
	return nil
}
