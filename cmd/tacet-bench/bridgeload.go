package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/servers"
	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// benchGroup gets the event "m" of everything that is published on its topic.
const (
	benchGroup = "bench"
	benchTopic = "tacet/group/" + benchGroup + "/m"
	hubPath    = "/hubs/devices"
)

// entrance is where the messages of a load go in.
type entrance interface {
	put(text []byte) // appends one message to what goes out next
	flush() error
	drop()
}

// publisher goes in over MQTT.
type publisher struct{ *client }

func (p publisher) put(text []byte) {
	p.out = wire.V311.AppendPublish(p.out, wire.Message{Topic: benchTopic, Payload: text})
}
func (p publisher) drop() { _ = p.Close() }

// caller goes in over a WebSocket.
type caller struct {
	*peer
	out []byte
}

func (c *caller) put(text []byte) {
	c.out = appendFrame(c.out, []byte(`{"type":1,"target":"SendToGroup","arguments":["`+benchGroup+`","m","`+string(text)+"\"]}\x1e"))
}

func (c *caller) flush() error {
	_, err := c.conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

func enter(ctx context.Context, p *servers.Process, way string) (entrance, error) {
	if way == byMQTT {
		c, err := dialClient(ctx, p.MQTT, 0)
		return publisher{c}, err
	}
	c, err := dial(ctx, &server{kind: kindOurs, addr: p.Web, path: hubPath}, "sender")
	return &caller{peer: c}, err
}

// crowd is the members of the group, and what has come to them.
type crowd struct {
	members   []*peer
	delivered atomic.Int64
	wrong     atomic.Int64 // out of order, or missing
	came      func(n uint64)
	left      [slots]atomic.Int64
	tasks     sync.WaitGroup
}

// gatherCrowd lets members join the group; came is called once a message has reached
// them all.
func gatherCrowd(ctx context.Context, p *servers.Process, n int, came func(n uint64)) (*crowd, error) {
	members, err := dialAll(ctx, &server{kind: kindOurs, addr: p.Web, path: hubPath}, "member", n)
	if err != nil {
		return nil, err
	}
	c := &crowd{members: members, came: came}
	for _, m := range members {
		if err := m.join(); err != nil {
			dropAll(members)
			return nil, err
		}
	}
	for _, m := range members {
		c.tasks.Go(func() { c.receive(m) })
	}
	return c, nil
}

// join joins the group and waits for the answer.
func (p *peer) join() error {
	if err := p.send([]byte(`{"type":1,"invocationId":"1","target":"JoinGroup","arguments":["` + benchGroup + "\"]}\x1e")); err != nil {
		return err
	}
	for {
		m, err := p.next()
		switch {
		case err != nil:
			return err
		case bytes.Contains(m, []byte(`"error"`)):
			return fmt.Errorf("join: %s", m)
		case bytes.Contains(m, []byte(`"invocationId":"1"`)):
			return nil
		}
	}
}

func (c *crowd) receive(p *peer) {
	next := uint64(0)
	for {
		m, err := p.next()
		if err != nil {
			return
		}
		n, ok := numberOf(m)
		if !ok {
			continue // a ping, or a word of greeting
		}
		if n != next {
			c.wrong.Add(1)
		}
		next = n + 1
		c.delivered.Add(1)
		if c.left[n%slots].Add(-1) == 0 {
			c.came(n)
		}
	}
}

func (c *crowd) end() {
	dropAll(c.members)
	c.tasks.Wait()
}

// through is a closed loop: at most window messages are on their way.
func through(members, window int) func(context.Context, *servers.Process, string, time.Duration) (map[string]float64, error) {
	return func(ctx context.Context, p *servers.Process, way string, length time.Duration) (map[string]float64, error) {
		free := make(chan struct{}, window)
		for range window {
			free <- struct{}{}
		}
		crowd, err := gatherCrowd(ctx, p, members, func(uint64) { free <- struct{}{} })
		if err != nil {
			return nil, err
		}
		in, err := enter(ctx, p, way)
		if err != nil {
			crowd.end()
			return nil, err
		}
		over := make(chan struct{})
		crowd.tasks.Go(func() { crowd.feed(in, free, over) })
		sample, err := meterFor(ctx, p, length, crowd.delivered.Load)
		close(over)
		in.drop()
		crowd.end()
		if err != nil {
			return nil, err
		}
		return map[string]float64{"deliveries/s": sample["rate"], "messages/s": sample["rate"] / float64(members), "cpu_us": sample["cpu"], "load_us": sample["load's cpu"], "wrong": float64(crowd.wrong.Load())}, nil
	}
}

// feed sends as much as the window has room for, in one write.
func (c *crowd) feed(in entrance, free chan struct{}, over chan struct{}) {
	text := bytes.Repeat([]byte{'x'}, payload)
	for n := uint64(0); ; {
		select {
		case <-free:
		case <-over:
			return
		}
		for room := true; room; n++ {
			c.left[n%slots].Store(int64(len(c.members)))
			copy(text, fmt.Sprintf("%0*d", digits, n))
			in.put(text)
			select {
			case <-free:
			default:
				room = false
			}
		}
		if in.flush() != nil {
			return
		}
	}
}

// paced is an open loop: so many messages a second to one member, and how long
// each takes.
func paced(perSecond int) func(context.Context, *servers.Process, string, time.Duration) (map[string]float64, error) {
	return func(ctx context.Context, p *servers.Process, way string, length time.Duration) (map[string]float64, error) {
		total := int(length.Seconds() * float64(perSecond))
		sent, took := make([]time.Time, total), make([]time.Duration, total)
		done := make(chan struct{})
		crowd, err := gatherCrowd(ctx, p, 1, func(n uint64) {
			took[n] = time.Since(sent[n])
			if int(n) == total-1 {
				close(done)
			}
		})
		if err != nil {
			return nil, err
		}
		defer crowd.end()
		in, err := enter(ctx, p, way)
		if err != nil {
			return nil, err
		}
		defer in.drop()
		if err := crowd.pace(ctx, in, sent, perSecond); err != nil {
			return nil, err
		}
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			return nil, errors.New("messages are missing")
		}
		slices.Sort(took)
		ms := func(q float64) float64 { return took[int(q*float64(total-1))].Seconds() * 1e3 }
		return map[string]float64{"p50_ms": ms(0.5), "p99_ms": ms(0.99), "max_ms": ms(1), "wrong": float64(crowd.wrong.Load())}, nil
	}
}

// pace sends one message after the other, each at its time; what is late goes at
// once.
func (c *crowd) pace(ctx context.Context, in entrance, sent []time.Time, perSecond int) error {
	text, begin := bytes.Repeat([]byte{'x'}, payload), time.Now()
	for n := range sent {
		if due := begin.Add(time.Duration(n) * time.Second / time.Duration(perSecond)); time.Until(due) > 0 {
			if err := pause(ctx, time.Until(due)); err != nil {
				return err
			}
		}
		c.left[n%slots].Store(1)
		copy(text, fmt.Sprintf("%0*d", digits, n))
		sent[n] = time.Now()
		in.put(text)
		if err := in.flush(); err != nil {
			return err
		}
	}
	return nil
}

// readings is so many readings a second of so many series: what they cost the
// hub, which keeps their history.
func readings(perSecond, series int) func(context.Context, *servers.Process, string, time.Duration) (map[string]float64, error) {
	return func(ctx context.Context, p *servers.Process, _ string, length time.Duration) (map[string]float64, error) {
		c, err := dialClient(ctx, p.MQTT, 0)
		if err != nil {
			return nil, err
		}
		defer c.Close()
		const each = 20 * time.Millisecond
		batch, n := int(float64(perSecond)*each.Seconds()), 0
		begin := time.Now()
		send := func(until time.Time) error {
			for time.Now().Before(until) {
				for range batch {
					topic := "home/north/sensor-" + strconv.Itoa(n%series) + "/temperature"
					c.out = wire.V311.AppendPublish(c.out, wire.Message{Topic: topic, Payload: strconv.AppendFloat(nil, 20+float64(n%977)/100, 'f', 2, 64)})
					n++
				}
				if err := c.flush(); err != nil {
					return err
				}
				if err := pause(ctx, time.Until(begin.Add(time.Duration(n)*time.Second/time.Duration(perSecond)))); err != nil {
					return err
				}
			}
			return nil
		}
		if err := send(time.Now().Add(2 * time.Second)); err != nil { // all series are there
			return nil, err
		}
		before, from, was := ownCPU(), time.Now(), n
		cpu, err := p.CPU()
		if err == nil {
			err = send(from.Add(length))
		}
		if err != nil {
			return nil, err
		}
		took := time.Since(from).Seconds()
		after, err := p.CPU()
		if err != nil {
			return nil, err
		}
		rss, err := p.RSS()
		return map[string]float64{"readings/s": float64(n-was) / took, "core_%": 100 * (after - cpu) / took, "rss_mib": float64(rss) / (1 << 20), "load_core_%": 100 * (ownCPU() - before) / took}, err
	}
}
