package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	acceptPauseLeast = 5 * time.Millisecond
	acceptPauseMost  = time.Second

	crowdPause = 5 * time.Millisecond
	crowdMost  = time.Second

	roomAtOnce = 16 // half-open connections closed where there is no descriptor left
)

// door is a listener and what its connections begin with: a PROXY header where
// a balancer is before it, then a TLS handshake where it is secure.
type door struct {
	ln      net.Listener
	proxied bool        // heed Config.ProxyFrom
	tls     *tls.Config // nil: plain
}

// Listen binds Config.Addr, and Config.TLSAddr where it is set. Connections are
// taken once Run runs.
func (b *Broker) Listen() error {
	plain, err := net.Listen("tcp", b.cfg.Addr)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	doors := []door{{ln: plain, proxied: true}}
	if b.cfg.TLSAddr != "" {
		ln, err := net.Listen("tcp", b.cfg.TLSAddr)
		if err != nil {
			_ = plain.Close()
			return fmt.Errorf("broker: tls: %w", err)
		}
		doors = append(doors, door{ln: ln, proxied: true, tls: secured(b.cfg.TLS)})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.doors != nil || b.state == stateClosing {
		closeAll(doors)
		return errors.New("broker: is listening already, or closed")
	}
	b.doors = doors
	return nil
}

func closeAll(doors []door) {
	for _, d := range doors {
		_ = d.ln.Close()
	}
}

// Addr is where the broker listens without TLS; nil before Listen.
func (b *Broker) Addr() net.Addr { return b.addr(false) }

// TLSAddr is where the broker listens with TLS; nil before Listen, and where
// Config.TLSAddr is empty.
func (b *Broker) TLSAddr() net.Addr { return b.addr(true) }

func (b *Broker) addr(secure bool) net.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range b.doors {
		if secure == (d.tls != nil) {
			return d.ln.Addr()
		}
	}
	return nil
}

// accept takes connections until ctx ends. An error makes it pause and go on
// (BROKER.md row 6). Being out of descriptors makes room first: whoever has
// said nothing must not keep out who has something to say.
func (b *Broker) accept(ctx context.Context, d door) error {
	var pause time.Duration
	for {
		raw, err := d.ln.Accept()
		if err == nil {
			pause = 0
			b.take(ctx, raw, d)
			continue
		}
		if ctx.Err() != nil || b.closing() {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return fmt.Errorf("broker: accept: %w", err)
		}
		b.count.acceptErrors.Add(1)
		b.warn("accept failed", "err", err)
		pause = min(max(2*pause, acceptPauseLeast), acceptPauseMost)
		if exhausted(err) && b.makeRoom() {
			pause = acceptPauseLeast
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// exhausted tells whether there was no descriptor for a connection.
func exhausted(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// makeRoom closes the oldest half-open connections.
func (b *Broker) makeRoom() bool {
	old := b.half.oldest(roomAtOnce)
	for _, l := range old {
		b.evict(l)
	}
	return len(old) > 0
}

// take admits a connection, in the order in which they came, so that one which
// speaks at once is not the oldest silent one of a flood behind it.
func (b *Broker) take(ctx context.Context, raw net.Conn, d door) {
	b.breathe(ctx)
	l, err := b.admit(raw, d)
	if err == nil {
		b.work.Go(func() { b.served(l, d) })
	}
}

// breathe waits, for a second at most, while more half-open connections than may
// be wait for us: we are behind, and shall catch up before we take more.
func (b *Broker) breathe(ctx context.Context) {
	if !b.half.crowded() {
		return
	}
	again := time.NewTicker(crowdPause)
	defer again.Stop()
	for end := time.Now().Add(crowdMost); b.half.crowded() && time.Now().Before(end); {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

func (b *Broker) served(l *link, d door) {
	if err := b.serve(l, d); err != nil {
		b.log.Debug("connection refused", "conn", l.addr, "err", err)
	}
}

// Establish serves one MQTT connection that somebody else accepted, such as
// one over WebSocket. It blocks until the connection ends and closes it. The
// error says why no session came about; the end of a session is no error.
func (b *Broker) Establish(conn net.Conn) error { return b.establish(conn, door{}) }

func (b *Broker) establish(conn net.Conn, d door) error {
	l, err := b.admit(conn, d)
	if err != nil {
		return err
	}
	return b.serve(l, d)
}

func (b *Broker) serve(l *link, d door) error {
	defer b.release(l)
	err := l.enter(d)
	if err == nil {
		err = b.session(l)
	}
	if err == nil || l.up {
		return nil
	}
	b.explain(l, err)
	return fmt.Errorf("broker: establish: %w", err)
}

// enter takes what comes before MQTT.
func (l *link) enter(d door) error {
	if l.host == unknownHost {
		if err := l.introduce(); err != nil {
			return err
		}
	}
	if d.tls != nil {
		return l.encrypt(d.tls)
	}
	l.in.fd = rawConn(l.raw)
	return nil
}

// admit counts a connection in, as half-open; one that it refuses it closes.
func (b *Broker) admit(raw net.Conn, d door) (*link, error) {
	l := newLink(b, raw, b.lastConn.Add(1))
	if d.proxied && b.trusts(l.host) {
		l.host = unknownHost
	}
	b.mu.Lock()
	if b.state == stateClosing {
		b.mu.Unlock()
		_ = raw.Close()
		return nil, area.Errorf(area.CodeDraining, "the broker is closed")
	}
	b.links[l] = struct{}{}
	b.work.Add(1)
	b.mu.Unlock()
	b.count.accepted.Add(1)
	_ = l.out.readDeadline(time.Now().Add(b.cfg.ConnectTimeout)) // row 2
	for _, old := range b.half.add(l) {
		b.evict(old)
	}
	return l, nil
}

// evict closes a half-open connection for the sake of others.
func (b *Broker) evict(l *link) {
	b.count.evicted.Add(1)
	b.warn("half-open connection evicted", "conn", b.half.addrOf(l))
	l.evicted.Store(true)
	l.because(Closed)
	_ = l.Close()
}

// explain counts and logs why a connection had no session, unless who refused
// it has done so.
func (b *Broker) explain(l *link, err error) {
	if l.refused || b.closing() {
		return
	}
	why := l.whyNoSession(err)
	if why == noReason {
		return
	}
	if why != whyHalfOpen && why != whyTooLarge { // evict and tooLarge have a line of their own
		b.warn("connection refused", "device", l.id, "conn", l.addr, "rule", why.String(), "err", err)
	}
	b.refuse(RefusedConnect, why, l.id, l.addr)
}

func (l *link) whyNoSession(err error) reason {
	switch {
	case l.evicted.Load():
		return whyHalfOpen
	case l.lost:
		return whySilent
	case errors.Is(err, errProxy):
		return whyProxy
	case errors.Is(err, errHandshake):
		return whyTLS
	case l.large:
		return whyTooLarge
	case l.heard.Load():
		return whyMalformed
	}
	return noReason // a check that we are alive says nothing and closes
}

// release forgets a connection that the library has let go of.
func (b *Broker) release(l *link) {
	_ = l.Close()
	b.half.remove(l)
	l.unexpire()
	b.seats.leave(l)
	if l.lost && l.id == "" {
		b.count.silent.Add(1)
	}
	cl := l.client.Load()
	if cl != nil && !l.up {
		b.forget(cl)
	}
	l.end()
	b.kept.left(cl, l)
	b.sessions.leave(l)
	b.endElsewhere(l)
	l.in.free()
	close(l.done)
	l.out.part()
	b.mu.Lock()
	delete(b.links, l)
	b.mu.Unlock()
	b.work.Done()
}
