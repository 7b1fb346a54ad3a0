package bridge

import (
	"container/list"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Bounds of views.
const (
	viewRate  = 20     // items a second of one view, unless it asks for another rate
	viewMost  = 1000   // items a second that it may ask for
	viewKeys  = 10_000 // topics or readings of one view that wait
	viewsMost = 1000   // views at once: each looks at every message
)

// views is who watches topics and readings by a filter of his own. The list is
// replaced as a whole: it is read per message.
type views struct {
	sampledOut atomic.Uint64

	mu       sync.Mutex // held while a list is replaced
	topics   atomic.Pointer[[]*viewOf[sampled]]
	readings atomic.Pointer[[]*viewOf[area.Reading]]
}

// viewOf is one view: the newest of each key, the key that has waited longest in
// front, let through at a rate. Over viewKeys the longest waiting is dropped; what
// is dropped or replaced is counted as sampled out.
type viewOf[T any] struct {
	fits func(T) bool
	key  func(T) string
	gap  time.Duration
	out  *atomic.Uint64
	over func()        // called when a key is dropped; must only signal; may be nil
	wake chan struct{} // has room for one signal

	mu    sync.Mutex // guards what follows
	wait  map[string]*list.Element
	order *list.List // of T
}

func newView[T any](perSecond int, out *atomic.Uint64, fits func(T) bool, key func(T) string) *viewOf[T] {
	return &viewOf[T]{
		fits: fits, key: key, gap: time.Second / time.Duration(perSecond), out: out, wake: make(chan struct{}, 1),
		wait: map[string]*list.Element{}, order: list.New(),
	}
}

// offer hands an item in; it never blocks.
func (v *viewOf[T]) offer(item T) {
	if !v.fits(item) {
		return
	}
	key, full := v.key(item), false
	v.mu.Lock()
	switch e := v.wait[key]; {
	case e != nil:
		e.Value = item
		v.out.Add(1)
	default:
		if full = v.order.Len() >= viewKeys; full {
			delete(v.wait, v.key(v.order.Remove(v.order.Front()).(T)))
			v.out.Add(1)
		}
		v.wait[key] = v.order.PushBack(item)
	}
	v.mu.Unlock()
	if full && v.over != nil {
		v.over()
	}
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *viewOf[T]) take() (item T, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	front := v.order.Front()
	if front == nil {
		return item, false
	}
	item = v.order.Remove(front).(T)
	delete(v.wait, v.key(item))
	return item, true
}

// run sends what is offered until ctx ends, whose error it answers, or sending
// fails.
func (v *viewOf[T]) run(ctx context.Context, send func(T) error) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select { // the time of the next item
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		item, ok := v.take()
		for !ok {
			select {
			case <-v.wake:
				item, ok = v.take()
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err := send(item); err != nil {
			return err
		}
		pause.Reset(v.gap)
	}
}

// enter adds a view to a list.
func enter[T any](w *views, all *atomic.Pointer[[]*viewOf[T]], v *viewOf[T]) (leave func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*viewOf[T]
	if p := all.Load(); p != nil {
		list = slices.Clone(*p)
	}
	if len(list) >= viewsMost {
		return nil, area.Errorf(area.CodeRate, "%d views are open, which is as many as there may be", viewsMost)
	}
	list = append(list, v)
	all.Store(&list)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		list := slices.DeleteFunc(slices.Clone(*all.Load()), func(x *viewOf[T]) bool { return x == v })
		all.Store(&list)
	}, nil
}

func offer[T any](all *atomic.Pointer[[]*viewOf[T]], item T) {
	if list := all.Load(); list != nil {
		for _, v := range *list {
			v.offer(item)
		}
	}
}

// checkRate is how many items a second a view gets; 0 asks for the default, 20.
func checkRate(perSecond int) (int, error) {
	switch {
	case perSecond == 0:
		return viewRate, nil
	case perSecond < 1 || perSecond > viewMost:
		return 0, area.InvalidField("per_second", "%d is not 1 to %d", perSecond, viewMost)
	}
	return perSecond, nil
}

// StreamTopics sends the newest value of each topic that the filter matches, by
// topic name, and then what is published on them, at any node, at most perSecond a second (0:
// 20; to 1,000): of a topic that is faster the newest is sent, the others are
// counted. It goes on until ctx ends, whose error it answers, or send fails. Its
// other errors are [area.Error]s of code invalid, and rate where 1,000 views are
// open.
func (p *Pump) StreamTopics(ctx context.Context, filter string, perSecond int, send func(area.TopicValue) error) error {
	rate, err := checkRate(perSecond)
	if err != nil {
		return err
	}
	if !area.ValidFilter(filter) {
		return area.InvalidField("filter", "%q is no topic filter", filter)
	}
	v := newView(rate, &p.views.sampledOut,
		func(m sampled) bool { return area.MatchFilter(filter, m.Topic) }, func(m sampled) string { return m.Topic })
	leave, err := enter(&p.views, &p.views.topics, v)
	if err != nil {
		return err
	}
	defer leave()
	cancel, err := p.Others.Subscribe(filter, func(m area.Message) { v.offer(sampled{m, p.Now()}) })
	if err != nil {
		return err
	}
	defer cancel()
	p.Others.Await(ctx)
	current, _ := p.list(ctx, filter)
	for _, now := range current {
		if err := send(now); err != nil {
			return err
		}
	}
	return v.run(ctx, func(m sampled) error { return send(show(m)) })
}

// StreamReadings is [Pump.StreamTopics] for the readings that fit; current lists
// the newest of each, which are sent first.
func (p *Pump) StreamReadings(ctx context.Context, perSecond int, fits func(area.Reading) bool, current func() []area.Reading, send func(area.Reading) error) error {
	rate, err := checkRate(perSecond)
	if err != nil {
		return err
	}
	v := newView(rate, &p.views.sampledOut, fits, readingKey)
	leave, err := enter(&p.views, &p.views.readings, v)
	if err != nil {
		return err
	}
	defer leave()
	for _, now := range current() {
		if !fits(now) {
			continue
		}
		if err := send(now); err != nil {
			return err
		}
	}
	return v.run(ctx, send)
}

// readingKey is what makes two readings ones of the same thing.
func readingKey(r area.Reading) string {
	key := string(r.Device) + "\x00" + r.Metric
	if r.Channel != nil {
		key += "\x00" + *r.Channel
	}
	return key
}
