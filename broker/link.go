package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// link is one client's connection: the net.Conn that the library reads and
// writes, and all that we know about the client at its other end.
type link struct {
	b    *Broker
	raw  net.Conn
	in   input
	out  output
	num  uint64 // the connection's number, from 1
	came time.Time
	addr string
	host string        // addr without the port; unknownHost until a balancer has said it
	done chan struct{} // closed when the library has let go of the connection

	heard     atomic.Bool                 // a byte has come
	busy      atomic.Bool                 // a whole packet has come: CONNECT, which is being checked
	evicted   atomic.Bool                 // for the sake of other half-open ones
	reason    atomic.Pointer[string]      // why we ended it; nil while we did not
	client    atomic.Pointer[mqtt.Client] // from the end of CONNECT's checks
	elsewhere atomic.Bool                 // another node has a newer session of the client
	who       atomic.Pointer[identity]    // from CONNECT on; nil in open mode

	backlog backlog // what waits for the client
	strays  strays  // what went to the client before it

	mu       sync.Mutex // guards the way out, and is held while packets take it
	window   window
	held     held
	runs     []*retainedRun
	renamed  renames
	added    []added // to SUBSCRIBE and UNSUBSCRIBE packets not answered yet
	most     int     // bytes of a packet that the client takes; 0: no limit
	terse    bool    // the client wants no words with its answers
	welcomed bool    // CONNACK is on its way
	pumping  bool    // somebody is sending what waited

	// The rest belongs to the connection's goroutine, from CONNECT on.
	expiry    *time.Timer          // nil: the proof of who it is does not run out
	tls       *tls.ConnectionState // nil: not encrypted by us. A certificate in it is verified
	id        string
	alive     time.Duration         // silence after which the client is lost; 0: none
	will      *will                 // nil: none
	goodbye   bool                  // DISCONNECT has come
	keepWill  bool                  // and does not call off the will
	emptyWill bool                  // the will has no payload
	lost      bool                  // nothing came in time
	refused   bool                  // CONNECT was, and that has been counted
	seated    bool                  // counted by seats
	sizes     packetSizes           // of what is read
	large     bool                  // a packet over the limit begins next
	inherits  bool                  // a session of an earlier connection
	queued    int                   // and so many messages with it
	up        bool                  // the session is established
	stored    *stored               // its session on disk; nil: none
	joined    uint64                // the store's position that the packet in hand is part of; 0: none
	number    int64                 // of the message in hand, while joined
	tag       packets.Subscriptions // what its messages carry: see tagOf
	denied    []int                 // and which are denied
	wanted    []bool                // of the SUBSCRIBE in hand: which filters want retained messages
	over      []int                 // and which there was no room for
	brake     brake                 // of what is read
	last      lastTopic             // that came by the short way
}

func newLink(b *Broker, raw net.Conn, num uint64) *link {
	l := &link{b: b, raw: raw, num: num, came: time.Now(), addr: raw.RemoteAddr().String(), done: make(chan struct{}), tag: tagOf(num, false)}
	l.host, l.sizes = host(l.addr), packetSizes{most: b.cfg.MaxConnectBytes, later: b.cfg.MaxPacketBytes}
	l.brake = brake{b: b, l: l, rate: b.cfg.MaxRate}
	l.in.pool = &b.inputs
	l.out = output{
		raw: raw, fd: rawConn(raw), limit: b.cfg.MaxOutputBytes, wait: b.cfg.WriteTimeout,
		start:   b.work.Go,
		sweep:   &b.sweep,
		slow:    l.tooSlow,
		drained: l.drained,
	}
	return l
}

// Read reads for the library.
func (l *link) Read(p []byte) (int, error) {
	if l.large {
		return 0, l.tooLarge()
	}
	if l.in.empty() {
		if err := l.out.rest(); err != nil {
			l.failed(err)
			return 0, err
		}
	}
	if l.up && l.in.fd != nil {
		if l.sizes.whole() {
			if err := l.short(); err != nil {
				l.broken(err)
				return 0, err
			}
		}
		p = p[:min(len(p), l.sizes.next(l.in.rest))]
	}
	n, err := l.in.read(l.raw, p)
	if n > 0 {
		l.heard.Store(true)
		var ok bool
		if n, ok = l.sizes.pass(p[:n]); !ok {
			l.large = true
			if n == 0 {
				return 0, l.tooLarge()
			}
			return n, nil
		}
		if !l.up && l.sizes.whole() {
			l.busy.Store(true)
		}
	}
	if err != nil {
		l.broken(err)
	}
	return n, err
}

// broken notes why nothing more comes.
func (l *link) broken(err error) {
	if !errors.Is(err, os.ErrDeadlineExceeded) || l.out.isClosed() {
		l.because(Lost)
		return
	}
	l.lost = true
	l.because(Timeout)
	if l.up {
		l.disconnect(packets.ErrKeepAliveTimeout)
	}
}

// Write takes whole packets of the library, and changes them, which io.Writer
// forbids: the library encodes each into bytes of its own and drops them after.
// It never blocks; a peer that does not read is cut.
func (l *link) Write(p []byte) (int, error) {
	if err := l.pass(p); err != nil {
		l.failed(err)
		return 0, err
	}
	return len(p), nil
}

// Close ends reading at once, and writing when what waits is out or a second
// is over.
func (l *link) Close() error {
	l.farewell()
	l.out.close()
	return nil
}

func (l *link) LocalAddr() net.Addr  { return l.raw.LocalAddr() }
func (l *link) RemoteAddr() net.Addr { return l.raw.RemoteAddr() }

// SetDeadline is called by the library before each packet. The keep-alive is
// counted here, since the library's sum overflows above 43,690 s (row 7), and
// writing has deadlines of its own.
func (l *link) SetDeadline(t time.Time) error {
	if !t.IsZero() && l.alive > 0 {
		t = time.Now().Add(l.alive)
	}
	return l.out.readDeadline(t)
}

func (l *link) SetReadDeadline(t time.Time) error { return l.out.readDeadline(t) }
func (l *link) SetWriteDeadline(time.Time) error  { return nil }

func (l *link) tooSlow() {
	l.because(Closed)
	l.b.count.slow.Add(1)
	l.b.refuse(Dropped, whySlow, l.id, l.addr)
	l.b.warn("slow consumer cut", "conn", l.addr)
}

// because notes why we end the connection; the first reason stands.
func (l *link) because(reason string) { l.reason.CompareAndSwap(nil, &reason) }

// endReason says how the connection ended, err being what reading ended with.
func (l *link) endReason(err error) string {
	if l.goodbye {
		return Goodbye
	}
	if r := l.reason.Load(); r != nil {
		return *r
	}
	if _, ok := errors.AsType[packets.Code](err); ok {
		return Closed // the client broke the protocol
	}
	return Lost
}

// linkOf is the connection of a client of the library, nil for our own.
func linkOf(cl *mqtt.Client) *link {
	l, _ := cl.Net.Conn.(*link)
	return l
}

// tagOf makes what a publication carries through the library to inline
// subscribers and into the retained store: the connection's number, whether it
// is a will, and, once the connection has signed in, the user name (as Filter).
// It travels in a field that PUBLISH does not use and
// that the library copies by reference.
func tagOf(num uint64, will bool) packets.Subscriptions {
	return packets.Subscriptions{{Identifier: int(num), NoLocal: will}}
}

// willOf tells whether a publication is a will.
func willOf(pk packets.Packet) bool { return len(pk.Filters) == 1 && pk.Filters[0].NoLocal }
