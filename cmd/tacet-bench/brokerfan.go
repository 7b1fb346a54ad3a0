package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

const (
	payloadMQTT = 128 // bytes of each message
	windowIn    = 16  // messages of one publisher that are under way
	windowOut   = 8   // messages to all subscribers that are under way
)

// source is a publisher that sends while less than its window is under way.
type source struct {
	*client
	topic string
	qos   byte
	n     int64         // sent
	under func() bool   // there is room for one more
	wake  chan struct{} // of capacity 1: look again
	quit  chan struct{} // closed: the load is over
}

func newSource(c *client, topic string, qos byte) *source {
	return &source{client: c, topic: topic, qos: qos, wake: make(chan struct{}, 1), quit: make(chan struct{})}
}

// run publishes until it shall quit. Its acknowledgements are read beside.
func (s *source) run() {
	payload := make([]byte, payloadMQTT)
	for {
		select {
		case <-s.wake:
		case <-s.quit:
			return
		}
		for s.under() {
			s.n++
			binary.BigEndian.PutUint64(payload, uint64(s.n))
			s.out = s.Version().AppendPublish(s.out, wire.Message{Topic: s.topic, Payload: payload, QoS: s.qos, ID: uint16(s.n%65535) + 1})
		}
		if s.flush() != nil {
			return
		}
	}
}

func (s *source) look() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// drainAcks reads until the connection ends.
func drainAcks(c *client) {
	for {
		if _, err := c.Next(); err != nil {
			return
		}
	}
}

// tally is what has arrived at all sinks of a load.
type tally struct {
	came    atomic.Int64 // messages
	passed  atomic.Int64 // the same and those that are missing: what is not under way any more
	missing atomic.Int64
}

// sink is a subscriber: it counts, acknowledges and looks whether anything is
// missing. After each batch it calls batch.
type sink struct {
	*client
	*tally
	streams map[string]*stream // by topic
	batch   func()
}

// stream is what has come of one topic, numbered from 1 without a gap.
type stream struct {
	last atomic.Int64 // number of the newest
	look func()       // its source looks whether there is room; nil: batch does that
	seen bool         // in this batch
}

func (s *sink) run() {
	for {
		p, err := s.Next()
		if err != nil {
			return
		}
		if p.Type == wire.Publish {
			s.take(p)
		}
		if s.More() {
			continue
		}
		if s.flush() != nil {
			return
		}
		s.batch()
	}
}

func (s *sink) take(p wire.Packet) {
	if p.QoS > 0 {
		s.out = wire.AppendAck(s.out, wire.Puback, p.ID)
	}
	from := s.streams[string(p.Topic)]
	from.seen = true
	s.came.Add(1)
	n := int64(binary.BigEndian.Uint64(p.Payload))
	if step := n - from.last.Load(); step > 0 { // else it comes twice, or late
		from.last.Store(n)
		s.passed.Add(step)
		s.missing.Add(step - 1)
	} else {
		s.missing.Add(-1)
	}
}

// fanIn is many publishers with QoS 1, and one subscriber.
func fanIn(publishers int) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, c comparison) (sample, error) {
		all, err := dialMany(ctx, p.MQTT, publishers+1, 16, func(i int, c *client) error {
			if i < publishers {
				return nil
			}
			c.Grow(64 << 10)
			return c.Subscribe("bench/in/#", 1)
		})
		if err != nil {
			return nil, err
		}
		one := &sink{client: all[publishers], tally: new(tally), streams: make(map[string]*stream, publishers)}
		sources := make([]*source, publishers)
		for i := range sources {
			s := newSource(all[i], fmt.Sprintf("bench/in/%03d", i), 1)
			arrived := &stream{look: s.look}
			s.under = func() bool { return s.n-arrived.last.Load() < windowIn }
			sources[i], one.streams[s.topic] = s, arrived
		}
		one.batch = func() {
			for _, from := range one.streams {
				if from.seen {
					from.seen = false
					from.look()
				}
			}
		}
		return runFan(ctx, p, c, sources, []*sink{one})
	}
}

// fanOutMQTT is one publisher and many subscribers.
func fanOutMQTT(subscribers int, qos byte) func(context.Context, *servers.Process, comparison) (sample, error) {
	return func(ctx context.Context, p *servers.Process, c comparison) (sample, error) {
		all, err := dialMany(ctx, p.MQTT, subscribers+1, 16, func(i int, c *client) error {
			if i == subscribers {
				return nil
			}
			return c.Subscribe("bench/out", qos)
		})
		if err != nil {
			return nil, err
		}
		sum := new(tally)
		one := newSource(all[subscribers], "bench/out", qos)
		var sent atomic.Int64 // what has been sent, times the subscribers
		room := func() bool { return sent.Load()-sum.passed.Load() <= int64((windowOut-1)*subscribers) }
		one.under = func() bool {
			if !room() {
				return false
			}
			sent.Add(int64(subscribers))
			return true
		}
		sinks := make([]*sink, subscribers)
		for i := range sinks {
			sinks[i] = &sink{client: all[i], tally: sum, streams: map[string]*stream{one.topic: new(stream)}, batch: func() {
				if room() {
					one.look()
				}
			}}
		}
		return runFan(ctx, p, c, []*source{one}, sinks)
	}
}

// runFan runs a load, measures it and ends it.
func runFan(ctx context.Context, p *servers.Process, c comparison, sources []*source, sinks []*sink) (sample, error) {
	var tasks sync.WaitGroup
	for _, s := range sinks {
		tasks.Go(s.run)
	}
	for _, s := range sources {
		tasks.Go(s.run)
		tasks.Go(func() { drainAcks(s.client) })
		s.look()
	}
	got, err := meterFor(ctx, p, c.length, sinks[0].came.Load)
	for _, s := range sinks {
		_ = s.Close()
	}
	for _, s := range sources {
		_ = s.Close()
		close(s.quit)
	}
	tasks.Wait()
	if err != nil {
		return nil, err
	}
	got["missing"] = float64(sinks[0].missing.Load())
	return got, nil
}
