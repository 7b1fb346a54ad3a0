package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

const (
	acceptPauseLeast = 5 * time.Millisecond
	acceptPauseMost  = time.Second
)

// door is a listener and what its connections begin with.
type door struct {
	net.Listener
	tls *tls.Config // nil: plain
}

// Listen binds Config.Addr, and Config.TLSAddr where it is set. Connections are
// taken once Run runs.
func (b *Broker) Listen() error {
	plain, err := net.Listen("tcp", b.cfg.Addr)
	if err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	doors := []door{{Listener: plain}}
	if b.cfg.TLSAddr != "" {
		ln, err := net.Listen("tcp", b.cfg.TLSAddr)
		if err != nil {
			_ = plain.Close()
			return fmt.Errorf("broker: tls: %w", err)
		}
		doors = append(doors, door{Listener: ln, tls: secured(b.cfg.TLS)})
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
		_ = d.Close()
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
			return d.Addr()
		}
	}
	return nil
}

// accept takes connections until ctx ends. An error, such as being out of
// descriptors, makes it pause and go on (BROKER.md row 6).
func (b *Broker) accept(ctx context.Context, d door) error {
	var pause time.Duration
	for {
		raw, err := d.Accept()
		if err == nil {
			pause = 0
			b.work.Go(func() { b.served(raw, d.tls) })
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
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (b *Broker) served(raw net.Conn, secure *tls.Config) {
	if err := b.establish(raw, secure); err != nil {
		b.log.Debug("connection refused", "conn", raw.RemoteAddr().String(), "err", err)
	}
}

// Establish serves one MQTT connection that somebody else accepted, such as
// one over WebSocket. It blocks until the connection ends and closes it. The
// error says why no session came about; the end of a session is no error.
func (b *Broker) Establish(conn net.Conn) error { return b.establish(conn, nil) }

func (b *Broker) establish(conn net.Conn, secure *tls.Config) error {
	l, err := b.admit(conn)
	if err != nil {
		_ = conn.Close()
		return err
	}
	defer b.release(l)
	if secure != nil {
		if err := l.encrypt(secure); err != nil {
			return fmt.Errorf("broker: establish: %w", err)
		}
	}
	if err := b.session(l); err != nil && !l.up {
		return fmt.Errorf("broker: establish: %w", err)
	}
	return nil
}

// admit counts a connection in, as half-open.
func (b *Broker) admit(raw net.Conn) (*link, error) {
	l := newLink(b, raw, b.lastConn.Add(1))
	b.mu.Lock()
	if b.state == stateClosing {
		b.mu.Unlock()
		return nil, area.Errorf(area.CodeDraining, "the broker is closed")
	}
	b.links[l] = struct{}{}
	b.work.Add(1)
	b.mu.Unlock()
	b.count.accepted.Add(1)
	_ = l.out.readDeadline(time.Now().Add(b.cfg.ConnectTimeout)) // row 2
	for _, old := range b.half.add(l) {
		b.count.evicted.Add(1)
		b.warn("half-open connection evicted", "conn", old.addr)
		old.because(Closed)
		_ = old.Close()
	}
	return l, nil
}

// release forgets a connection that the library has let go of.
func (b *Broker) release(l *link) {
	_ = l.Close()
	b.half.remove(l)
	l.unexpire()
	if l.lost && l.id == "" {
		b.count.silent.Add(1)
	}
	if cl := l.client.Load(); cl != nil && !l.up {
		b.forget(cl)
	}
	b.sessions.leave(l)
	close(l.done)
	b.mu.Lock()
	delete(b.links, l)
	b.mu.Unlock()
	b.work.Done()
}
