package order

import (
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
)

// DefaultKept is how many ended orders a [Memory] keeps.
const DefaultKept = 10_000

// Memory is a [Store] that forgets everything with the process. All orders
// without an end are kept, and of the ended ones the newest; the oldest by
// their end is dropped for each new one beyond the bound. It is safe for
// concurrent use.
type Memory struct {
	kept int

	mu    sync.Mutex
	byID  map[area.WorkID]*kept
	rows  []*kept // in the order of their arrival; dropped ones stay until half are
	gone  int     // dropped ones in rows
	ended []*kept // in the order of their ends
	seq   uint64
}

type kept struct {
	seq  uint64
	rec  Record
	gone bool
}

// NewMemory makes an empty store that keeps so many ended orders; 0:
// [DefaultKept].
func NewMemory(ended int) *Memory {
	return &Memory{kept: orDefault(ended, DefaultKept), byID: map[area.WorkID]*kept{}}
}

// Put keeps a record. It never fails; a change of an order that has its end is
// ignored.
func (m *Memory) Put(_ context.Context, r Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.byID[r.Order.ID]
	if k == nil {
		m.seq++
		k = &kept{seq: m.seq, rec: r}
		m.byID[r.Order.ID] = k
		m.rows = append(m.rows, k)
	} else if k.rec.Order.State.Ended() {
		return nil
	}
	k.rec = r
	if r.Order.State.Ended() {
		m.ended = append(m.ended, k)
		m.bound()
	}
	return nil
}

// bound drops the order whose end is the oldest.
func (m *Memory) bound() {
	if len(m.ended) > m.kept {
		m.forget(m.ended[0])
		m.ended[0] = nil
		m.ended = m.ended[1:]
	}
}

func (m *Memory) forget(k *kept) {
	delete(m.byID, k.rec.Order.ID)
	k.gone, k.rec = true, Record{}
	if m.gone++; m.gone > len(m.rows)/2 {
		m.rows = slices.DeleteFunc(m.rows, func(k *kept) bool { return k.gone })
		m.gone = 0
	}
}

// Drop forgets an order that has no end. It never fails.
func (m *Memory) Drop(_ context.Context, id area.WorkID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.byID[id]; k != nil && !k.rec.Order.State.Ended() {
		m.forget(k)
	}
	return nil
}

// Get answers false for an order that is not kept.
func (m *Memory) Get(id area.WorkID) (Record, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.byID[id]; k != nil {
		return k.rec, true
	}
	return Record{}, false
}

// List answers the newest first, as [Store] says.
func (m *Memory) List(f Filter) ([]area.Order, string, error) {
	before, err := position(f.After)
	if err != nil {
		return nil, "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	items := []area.Order{}
	var last uint64
	for _, k := range slices.Backward(m.rows) {
		if k.gone || k.seq >= before || !f.match(&k.rec.Order) {
			continue
		}
		if len(items) == f.limit() {
			return items, strconv.FormatUint(last, 36), nil
		}
		items, last = append(items, k.rec.Order), k.seq
	}
	return items, "", nil
}

// position is the number before which a list goes on.
func position(after string) (uint64, error) {
	if after == "" {
		return 1<<64 - 1, nil
	}
	n, err := strconv.ParseUint(after, 36, 64)
	if err != nil {
		return 0, area.InvalidField("after", "not a position that a list gave out")
	}
	return n, nil
}

// Live answers the orders without an end, the oldest first.
func (m *Memory) Live() []Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	var live []Record
	for _, k := range m.rows {
		if !k.gone && !k.rec.Order.State.Ended() {
			live = append(live, k.rec)
		}
	}
	return live
}
