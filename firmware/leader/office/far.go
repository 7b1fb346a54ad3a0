package office

import (
	"crypto/rand"
	"sync"
	"sync/atomic"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// far is the device's connection to the hub as the program has it. Its methods are
// safe for concurrent use and do not block.
type far struct {
	out  *queue
	life string // of this start of the program, on the trunk
	up   atomic.Bool

	mu       sync.Mutex
	wants    map[string]bool // as the device was told
	next     int
	watchers map[int]watcher
}

// watcher is somebody who wants to know.
type watcher struct {
	heard   func(area.Trunk)
	changed func(up bool)
}

func newFar(out *queue) *far {
	return &far{out: out, life: rand.Text(), wants: map[string]bool{}, watchers: map[int]watcher{}}
}

// Want is [Link]'s; package host says it again each second.
func (f *far) Want(why string, wanted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.wants[why] != wanted && f.out.put(frame{Op: opWant, Why: why, Wanted: wanted}) {
		f.wants[why] = wanted
	}
}

// Up tells whether the connection stands.
func (f *far) Up() bool { return f.up.Load() }

// Send says something to the hub. It answers [uplink.ErrOffline] or [uplink.ErrFull]
// where that cannot be; what the device cannot hand on after that is lost, as with a
// connection that breaks.
func (f *far) Send(t area.Trunk) error {
	if !f.Up() {
		return uplink.ErrOffline
	}
	t.Life = f.life
	if !f.out.put(frame{Op: opTrunk, Trunk: t.Encode()}) {
		return uplink.ErrFull
	}
	return nil
}

// Watch is [Link]'s.
func (f *far) Watch(heard func(area.Trunk), changed func(up bool)) (cancel func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := f.next
	f.next++
	f.watchers[id] = watcher{heard, changed}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.watchers, id)
	}
}

// Documents hears of none: they go from the connection to the member, in the device.
func (f *far) Documents(func([]byte)) (cancel func(), err error) { return func() {}, nil }

func (f *far) all() (list []watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.next {
		if w, ok := f.watchers[id]; ok {
			list = append(list, w)
		}
	}
	return list
}

func (f *far) stands(up bool) {
	if f.up.Swap(up) == up {
		return
	}
	for _, w := range f.all() {
		if w.changed != nil {
			w.changed(up)
		}
	}
}

func (f *far) heard(t area.Trunk) {
	for _, w := range f.all() {
		if w.heard != nil {
			w.heard(t)
		}
	}
}
