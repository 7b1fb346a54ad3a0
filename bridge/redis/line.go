package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/broker/shared"
)

// line is a connection of one user's own, made where there is none.
type line struct {
	s *Server

	mu     lock // one call at a time
	conn   rueidis.DedicatedClient
	shards bool // it is one to a cluster
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sever()
}

func (l *line) sever() {
	if l.conn != nil {
		l.conn.Close()
		l.conn = nil
	}
}

// open makes the connection where there is none. The caller holds the lock.
func (l *line) open() error {
	if l.conn != nil {
		return nil
	}
	c, err := l.s.connected()
	if err != nil {
		return err
	}
	l.conn, _ = c.Dedicate()
	l.shards = cluster(c)
	return nil
}

func (l *line) do(ctx context.Context, commands func(rueidis.Builder) rueidis.Commands) ([]rueidis.RedisResult, error) {
	if err := l.mu.within(ctx); err != nil {
		return nil, err
	}
	defer l.mu.Unlock()
	return l.doLocked(ctx, commands)
}

// doLocked runs commands. After any error the connection is another one: what was
// under way on it is not known. The caller holds the lock.
func (l *line) doLocked(ctx context.Context, commands func(rueidis.Builder) rueidis.Commands) ([]rueidis.RedisResult, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	if err := l.open(); err != nil {
		return nil, err
	}
	out := l.conn.DoMulti(ctx, pinned(commands(l.conn.B()))...)
	for _, one := range out {
		if err := one.Error(); err != nil && !rueidis.IsRedisNil(err) {
			l.sever()
			return nil, err
		}
	}
	return out, nil
}

// bell is a line on which a channel is heard, so that who waits for news need not
// look for them all the time. Nothing is lost when it rings in vain, or too late.
type bell struct {
	line
	channel string
	deaf    string // what does not ring it

	rung chan struct{} // holds one
	lost <-chan error  // that of conn: it hears nothing any more
}

func newBell(s *Server, channel, deaf string) *bell {
	return &bell{line: line{s: s}, channel: channel, deaf: deaf, rung: make(chan struct{}, 1)}
}

// do runs commands after the channel is being heard.
func (b *bell) do(ctx context.Context, commands func(rueidis.Builder) rueidis.Commands) ([]rueidis.RedisResult, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conn == nil {
		if err := b.listen(ctx); err != nil {
			b.sever()
			return nil, err
		}
	}
	return b.doLocked(ctx, commands)
}

// listen subscribes on a new connection. The caller holds the lock.
func (b *bell) listen(ctx context.Context) error {
	if err := b.open(); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	b.lost = b.conn.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: b.heard})
	return b.conn.Do(ctx, subscription(b.conn.B(), b.channel, b.shards)).Error()
}

func (b *bell) heard(m rueidis.PubSubMessage) {
	if m.Message == b.deaf {
		return
	}
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// hush forgets that it has rung: what it rang for is about to be read.
func (b *bell) hush() {
	select {
	case <-b.rung:
	default:
	}
}

// wait waits until it rings, at most for so long; an error is that it does not any
// more, or that of ctx.
func (b *bell) wait(ctx context.Context, most time.Duration) error {
	b.mu.Lock()
	lost := b.lost
	b.mu.Unlock()
	limit := time.NewTimer(most)
	defer limit.Stop()
	select {
	case <-b.rung:
		return nil
	case <-limit.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-lost:
		b.close()
		return fmt.Errorf("redis: channel %s is not heard: %w", b.channel, errors.Join(shared.ErrAway, err))
	}
}
