package redis

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
)

// subscribe keeps the subscriptions: the node's inbox and the call, always, and the
// partitions that are listened to. It ends with ctx.
func (p *Plane) subscribe(ctx context.Context) {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	tasks.Go(func() { p.follow(ctx, channel{backplane.Inbox, p.cfg.Node}, p.ready) })
	tasks.Go(func() { p.followCalls(ctx) })
	var followers [backplane.Partitions]follower
	for {
		for i, begin := range p.listened() {
			followers[i].set(ctx, &tasks, begin != nil, func(ctx context.Context) { p.follow(ctx, channel{i, ""}, begin) })
		}
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		}
	}
}

// listened has, for each partition that is listened to, what is closed when that has
// begun. Of one that is not any more it is forgotten: the next listening has another.
func (p *Plane) listened() (begins [backplane.Partitions]chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, on := range p.listens {
		if on {
			begins[i] = p.begin(i)
		} else {
			p.begins[i] = nil
		}
	}
	return begins
}

// follower is the goroutine that follows one partition, if there is one.
type follower struct {
	stop context.CancelFunc
	done chan struct{} // of the newest
}

// set starts or stops it; one begins when the one before it has ended.
func (f *follower) set(ctx context.Context, tasks *sync.WaitGroup, on bool, follow func(context.Context)) {
	if on == (f.stop != nil) {
		return
	}
	if !on {
		f.stop()
		f.stop = nil
		return
	}
	one, stop := context.WithCancel(ctx)
	before, done := f.done, make(chan struct{})
	f.stop, f.done = stop, done
	tasks.Go(func() {
		defer close(done)
		defer stop()
		if before != nil {
			<-before
		}
		follow(one)
	})
}

// follow hears a channel until ctx ends, over as many connections as it takes. The
// first subscription is made when it is known where the counting is, of which begun is
// told: whenever one stands, what came before it is read from the history. begun is
// closed when it ends, too.
func (p *Plane) follow(ctx context.Context, ch channel, begun chan struct{}) {
	begin := sync.OnceFunc(func() { close(begun) })
	defer begin()
	defer p.in.put(arrival{from: ch, ended: true})
	var b backoff
	for !p.begun(ctx, ch) {
		if !pause(ctx, b.next()) {
			return
		}
	}
	begin()
	p.receive(ctx, p.cfg.name(ch), true, func() { p.in.put(arrival{from: ch, stood: true}) },
		func(m rueidis.PubSubMessage) { p.in.put(arrival{from: ch, b: m.Message}) })
}

// begun has the hearing goroutine read where the counting is; false when it could
// not.
func (p *Plane) begun(ctx context.Context, ch channel) bool {
	done := make(chan bool, 1)
	p.in.put(arrival{from: ch, begin: done})
	select {
	case <-ctx.Done():
		return false
	case ok := <-done:
		return ok
	}
}

// followCalls hears when a node comes or goes.
func (p *Plane) followCalls(ctx context.Context) {
	call := func() { p.in.put(arrival{call: true}) }
	p.receive(ctx, p.cfg.callChannel(), false, call, func(rueidis.PubSubMessage) { call() })
}

// receive subscribes to a channel, again and again, until ctx ends. stood and heard
// are called on the connection's goroutine and only enqueue.
func (p *Plane) receive(ctx context.Context, name string, sharded bool, stood func(), heard func(rueidis.PubSubMessage)) {
	var stands atomic.Bool
	hooked := rueidis.WithOnSubscriptionHook(ctx, func(s rueidis.PubSubSubscription) {
		if s.Kind == "subscribe" || s.Kind == "ssubscribe" {
			stands.Store(true)
			stood()
		}
	})
	var b backoff
	for ctx.Err() == nil {
		c, err := p.s.connected()
		if err == nil {
			shard := sharded && cluster(c)
			err = c.Receive(rueidis.WithOnReceiveReturnHook(hooked, func(_ error, conn rueidis.CommandClient) error {
				return unsubscribe(c, conn, name, shard)
			}), subscription(c.B(), name, shard), heard)
			if stands.Swap(false) {
				b = backoff{}
			}
		}
		if ctx.Err() != nil {
			return
		}
		p.cfg.Log.Debug("subscription lost", "topic", name, "err", err)
		pause(ctx, b.next())
	}
}

func subscription(b rueidis.Builder, name string, sharded bool) rueidis.Completed {
	if sharded {
		return b.Ssubscribe().Channel(name).Build().Pin()
	}
	return b.Subscribe().Channel(name).Build().Pin()
}

// unsubscribe ends on a connection what nobody reads any more. Garnet has no SUNSUBSCRIBE
// for its clusters: there the channel stays until the connection ends, and what comes over
// it is dropped.
func unsubscribe(c rueidis.Client, conn rueidis.CommandClient, name string, sharded bool) error {
	bye, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if !sharded {
		return conn.Do(bye, conn.B().Unsubscribe().Channel(name).Build().Pin()).Error()
	}
	known, err := c.Do(bye, c.B().CommandInfo().CommandName("SUNSUBSCRIBE").Build()).ToArray()
	if err != nil || len(known) == 0 || known[0].IsNil() {
		return err
	}
	return conn.Do(bye, conn.B().Sunsubscribe().Channel(name).Build().Pin()).Error()
}
