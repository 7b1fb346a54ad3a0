package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/redis"
	"github.com/tacet-hub/tacet/bridge/redis/redistest"
)

// link carries messages of 256 bytes from one end to the other: a backplane, or its
// anchor.
type link struct {
	name string
	send func(body []byte) error // blocks while it must
	sent func() int64            // messages that were handed to the server
	more func() map[string]float64
}

// bodyLen is how long the messages are.
const bodyLen = 256

// withLinks runs f with the anchor, then with a backplane of two nodes, each over the
// same server; heard is called with each message that arrives, one at a time.
func withLinks(ctx context.Context, s *redistest.Server, heard func(body []byte), f func(link) error) error {
	if err := withBare(ctx, s, heard, f); err != nil {
		return err
	}
	return withPlanes(ctx, s, heard, f)
}

// withBare is the library alone: each message is published by itself, those that are
// sent together in one pipeline of at most 16.
func withBare(ctx context.Context, s *redistest.Server, heard func([]byte), f func(link) error) error {
	clients := make([]rueidis.Client, 2)
	for i := range clients {
		o, err := rueidis.ParseURL(s.URL())
		if err != nil {
			return err
		}
		o.DisableCache, o.ForceSingleClient = true, true
		if clients[i], err = rueidis.NewClient(o); err != nil {
			return err
		}
		defer clients[i].Close()
	}
	ctx, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	stands := make(chan struct{})
	stand := sync.OnceFunc(func() { close(stands) }) // the server cuts a subscriber off who is too slow
	hooked := rueidis.WithOnSubscriptionHook(ctx, func(rueidis.PubSubSubscription) { stand() })
	tasks.Go(func() { // an error means that it is over
		_ = clients[1].Receive(hooked, clients[1].B().Subscribe().Channel("bench").Build(), func(m rueidis.PubSubMessage) { heard([]byte(m.Message)) })
	})
	<-stands
	const senders, together = 64, 16
	var failed atomic.Pointer[error]
	var published atomic.Int64
	queue := make(chan []byte, senders*together)
	for range senders {
		tasks.Go(func() {
			for body := range queue {
				list := rueidis.Commands{clients[0].B().Publish().Channel("bench").Message(string(body)).Build()}
				for more := true; more && len(list) < together; {
					select {
					case body, ok := <-queue:
						if more = ok; ok {
							list = append(list, clients[0].B().Publish().Channel("bench").Message(string(body)).Build())
						}
					default:
						more = false
					}
				}
				for _, r := range clients[0].DoMulti(ctx, list...) {
					if err := r.Error(); err != nil {
						failed.Store(&err)
					}
				}
				published.Add(int64(len(list)))
			}
		})
	}
	defer close(queue)
	return f(link{name: "rueidis", sent: published.Load, more: func() map[string]float64 { return nil }, send: func(body []byte) error {
		queue <- body
		if err := failed.Load(); err != nil {
			return *err
		}
		return nil
	}})
}

// benchPartition is the one that is used.
const benchPartition = 1

// withPlanes is two nodes.
func withPlanes(ctx context.Context, s *redistest.Server, heard func([]byte), f func(link) error) error {
	ctx, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer stop()
	planes := make([]*redis.Plane, 2)
	first := make(chan struct{}, 1)
	hear := func(e backplane.Envelope) {
		if len(e.Body) == 0 {
			select {
			case first <- struct{}{}:
			default:
			}
			return
		}
		heard(e.Body)
	}
	for i, handler := range []planeHandler{func(backplane.Envelope) {}, hear} {
		server, err := redis.NewServer(redis.Config{URL: s.URL(), Node: fmt.Sprint("node-", i)})
		if err != nil {
			return err
		}
		defer server.Close()
		defer tasks.Wait()
		defer stop()
		planes[i] = redis.NewPlane(server)
		tasks.Go(func() { _ = planes[i].Run(ctx, handler) }) // ends with ctx
	}
	planes[1].Listen(benchPartition, true)
	for met := false; !met; {
		if err := planes[0].Publish(benchPartition, backplane.Envelope{}); err != nil {
			return err
		}
		select {
		case <-first:
			met = true
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	send := func(body []byte) error {
		for {
			err := planes[0].Publish(benchPartition, backplane.Envelope{Target: "group", Body: body})
			if !errors.Is(err, backplane.ErrFull) {
				return err
			}
			if err := pause(ctx, 100*time.Microsecond); err != nil { // the queue has to drain
				return err
			}
		}
	}
	return f(link{name: "tacet", send: send, sent: func() int64 { return int64(planes[0].Stats().Published) }, more: func() map[string]float64 {
		a, b := planes[0].Stats(), planes[1].Stats()
		return map[string]float64{"batch": float64(a.Published) / float64(max(1, a.Batches)), "missed": float64(b.Missed)}
	}})
}

// planeHandler hears what comes to a node.
type planeHandler func(backplane.Envelope)

func (h planeHandler) Heard(e backplane.Envelope) { h(e) }
func (planeHandler) Missed(string, int, uint64)   {}
func (planeHandler) Changed([]backplane.Node)     {}
func (planeHandler) Connected(bool)               {}

// hops is how long a message is under way while 10,000 a second are.
func hops(ctx context.Context, b *clusterBench, s *redistest.Server, add func(result)) error {
	begin := time.Now()
	var mu sync.Mutex
	var took []time.Duration
	heard := func(body []byte) {
		d := time.Since(begin) - time.Duration(binary.LittleEndian.Uint64(body))
		mu.Lock()
		defer mu.Unlock()
		took = append(took, d)
	}
	return withLinks(ctx, s, heard, func(l link) error {
		const together = 10 // each millisecond
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for range b.length / time.Millisecond {
			<-tick.C
			for range together {
				body := make([]byte, bodyLen)
				binary.LittleEndian.PutUint64(body, uint64(time.Since(begin)))
				if err := l.send(body); err != nil {
					return err
				}
			}
		}
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(took)
		at := func(part float64) float64 {
			return float64(took[int(part*float64(len(took)-1))].Microseconds()) / 1000
		}
		figures := map[string]float64{"p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1), "n": float64(len(took))}
		took = took[:0]
		add(result{Server: l.name, Figures: figures})
		return nil
	})
}

// publishing is how many messages a second the server is given, and how many of them
// are heard: who is slower than that misses some, and is told.
func publishing(ctx context.Context, b *clusterBench, s *redistest.Server, add func(result)) error {
	var n atomic.Int64
	return withLinks(ctx, s, func([]byte) { n.Add(1) }, func(l link) error {
		over, stop := context.WithTimeout(ctx, warmUp+b.length)
		defer stop()
		var tasks sync.WaitGroup
		var failed error
		tasks.Go(func() {
			body := make([]byte, bodyLen)
			for i := 0; failed == nil && (i%64 > 0 || over.Err() == nil); i++ {
				failed = l.send(body)
			}
		})
		err := pause(ctx, warmUp)
		heard, sent, begin := n.Load(), l.sent(), time.Now()
		if err == nil {
			err = pause(ctx, b.length-100*time.Millisecond)
		}
		took := time.Since(begin).Seconds()
		figures := map[string]float64{"published/s": float64(l.sent()-sent) / took, "heard/s": float64(n.Load()-heard) / took}
		tasks.Wait()
		for name, v := range l.more() {
			figures[name] = v
		}
		add(result{Server: l.name, Figures: figures})
		return errors.Join(err, failed)
	})
}
