package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// rig is clients of every kind and what was promised to them.
type rig struct {
	kept     *values // retained topics
	flips    *values // subscriptions
	keepers  []*keeper
	flippers []*flipper
	away     []*session // whose subscriber comes only when there is no load
	here     []*session // whose subscriber takes what comes at once
	idle     int        // sessions that only exist, and must go on to
	groups   int        // of retained topics that only exist
	count    tally
}

// groupSize is how many retained topics are read at once.
const groupSize = 1000

// newRig makes the clients: eight set and clear retained topics, four send to
// sessions that are away and two to ones that are there, with QoS 1 and 2, and
// two subscribe and unsubscribe.
func newRig() *rig {
	r := &rig{kept: newValues(), flips: newValues()}
	for i := range 8 {
		r.keepers = append(r.keepers, newKeeper(i, 25, r.kept))
	}
	for i, qos := range []byte{1, 1, 1, 2} {
		r.away = append(r.away, newSession(fmt.Sprint("away-", i), qos, 300))
	}
	for i, qos := range []byte{1, 2} {
		r.here = append(r.here, newSession(fmt.Sprint("here-", i), qos, 300))
	}
	for i := range 2 {
		r.flippers = append(r.flippers, newFlipper(i, 10, r.flips))
	}
	return r
}

// prepare makes what must exist before there is load: the sessions, and so many
// retained messages (in whole thousands) and idle sessions.
func (r *rig) prepare(ctx context.Context, addr string, retained, idle int) error {
	r.groups, r.idle = retained/groupSize, idle
	for _, s := range slices.Concat(r.away, r.here) {
		c, err := s.open(ctx, addr, true, &r.count)
		if err != nil {
			return err
		}
		if err := c.leave(); err != nil {
			return err
		}
	}
	for _, f := range r.flippers {
		if err := f.settle(ctx, addr); err != nil {
			return err
		}
	}
	return r.fill(ctx, addr)
}

// fill makes what only exists.
func (r *rig) fill(ctx context.Context, addr string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for g := range r.groups {
		group.Go(func() error { return r.fillGroup(ctx, addr, g) })
	}
	for i := range r.idle {
		group.Go(func() error {
			c, err := dial(ctx, addr, wire.Options{ID: idleID(i), Keep: true})
			if err != nil {
				return err
			}
			defer c.end()
			if err := c.Subscribe(fmt.Sprintf("bench/idle/%d/#", i), 1); err != nil {
				return err
			}
			return c.leave()
		})
	}
	return group.Wait()
}

func idleID(i int) string { return fmt.Sprintf("idle-%04d", i) }

// fillGroup publishes one group of retained messages.
func (r *rig) fillGroup(ctx context.Context, addr string, g int) error {
	c, err := dial(ctx, addr, wire.Options{ID: fmt.Sprint("filler-", g)})
	if err != nil {
		return err
	}
	defer c.end()
	const window = 50
	for from := 0; from < groupSize; from += window {
		way := make(map[uint16]sent, window)
		for i := from; i < from+window; i++ {
			topic, id := fmt.Sprintf("bench/k%d/%d", g, i), uint16(i+1)
			way[id] = sent{topic, r.kept.intend(topic, 1)}
			c.publish(wire.Message{Topic: topic, Payload: body(topic, 1, 0), QoS: 1, Retain: true, ID: id})
		}
		if err := c.flush(); err != nil {
			return err
		}
		for range window {
			p, err := c.Await(wire.Puback, nil)
			if err != nil {
				return err
			}
			r.kept.ack(way[p.ID].topic, way[p.ID].n)
		}
	}
	return nil
}

// load starts every client. They end when ctx does, or with the server, or have
// sent all that they send in a round; end waits for them.
func (r *rig) load(ctx context.Context, addr string) (end func()) {
	var tasks sync.WaitGroup
	for _, k := range r.keepers {
		tasks.Go(func() { _ = k.run(ctx, addr, wire.V311) }) // each error is the server's end, which is the point
	}
	for _, f := range r.flippers {
		tasks.Go(func() { _ = f.run(ctx, addr) })
	}
	for _, s := range r.here {
		tasks.Go(func() { _ = s.live(ctx, addr, &r.count) })
	}
	for _, s := range slices.Concat(r.away, r.here) {
		tasks.Go(func() { _ = s.send(ctx, addr, &r.count) })
	}
	return tasks.Wait
}

// check compares all that was promised with what the server shows, and goes on
// from that. Nothing else may be connected.
func (r *rig) check(ctx context.Context, addr string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	group.Go(func() error { return r.checkKept(ctx, addr, "bench/r") })
	for g := range r.groups {
		group.Go(func() error { return r.checkKept(ctx, addr, fmt.Sprintf("bench/k%d", g)) })
	}
	for _, s := range slices.Concat(r.away, r.here) {
		group.Go(func() error { return s.drain(ctx, addr, &r.count) })
	}
	for _, f := range r.flippers {
		group.Go(func() error { return f.check(ctx, addr, &r.count) })
	}
	group.Go(func() error { return r.checkIdle(ctx, addr) })
	return group.Wait()
}

func (r *rig) checkKept(ctx context.Context, addr, under string) error {
	mine := func(topic string) bool { return strings.HasPrefix(topic, under+"/") }
	must := make(map[string]bool)
	for _, topic := range r.kept.present() {
		if mine(topic) {
			must[topic] = true
		}
	}
	found, err := readKept(ctx, addr, under, must)
	if err != nil {
		return err
	}
	r.kept.judge(found, mine, &r.count)
	return nil
}

// checkIdle looks at some of the idle sessions.
func (r *rig) checkIdle(ctx context.Context, addr string) error {
	for range min(10, r.idle) {
		i := rand.IntN(r.idle)
		c, err := dial(ctx, addr, wire.Options{ID: idleID(i), Keep: true})
		if err != nil {
			return err
		}
		if !c.Present {
			r.count.add(Lost, "session %s", idleID(i))
		}
		if err := c.leave(); err != nil {
			return err
		}
	}
	return nil
}
