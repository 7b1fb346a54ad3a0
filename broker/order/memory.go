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
	next func(last uint64) uint64 // the place of a new order

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
	return &Memory{kept: orDefault(ended, DefaultKept), byID: map[area.WorkID]*kept{}, next: func(last uint64) uint64 { return last + 1 }}
}

// Put keeps records. It never fails; a change of an order that has its end is
// ignored.
func (m *Memory) Put(_ context.Context, records ...Record) error {
	for _, r := range records {
		seq, _ := m.number(r.Order.ID)
		m.place(seq, r)
	}
	return nil
}

// number is where an order stands among all, in the order of their arrival, and
// its state; a new one gets the next number.
func (m *Memory) number(id area.WorkID) (seq uint64, state area.OrderState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.byID[id]; k != nil {
		return k.seq, k.rec.Order.State
	}
	m.seq = m.next(m.seq)
	return m.seq, ""
}

// place keeps a record and answers what had to go for it.
func (m *Memory) place(seq uint64, r Record) (gone []area.WorkID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.byID[r.Order.ID]
	if k == nil {
		m.seq = max(m.seq, seq)
		k = &kept{seq: seq, rec: r}
		m.byID[r.Order.ID] = k
		m.insert(k)
	} else if k.rec.Order.State.Ended() {
		return nil
	}
	k.rec = r
	if r.Order.State.Ended() {
		m.ended = append(m.ended, k)
		gone = m.bound()
	}
	return gone
}

// insert adds a row; those that are placed at once may come out of order.
func (m *Memory) insert(k *kept) {
	at := len(m.rows)
	for at > 0 && m.rows[at-1].seq > k.seq {
		at--
	}
	m.rows = slices.Insert(m.rows, at, k)
}

// bound drops the order whose end is the oldest.
func (m *Memory) bound() []area.WorkID {
	if len(m.ended) <= m.kept {
		return nil
	}
	id := m.ended[0].rec.Order.ID
	m.forget(m.ended[0])
	m.ended[0] = nil
	m.ended = m.ended[1:]
	return []area.WorkID{id}
}

// remove forgets an order, whatever has become of it.
func (m *Memory) remove(id area.WorkID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.byID[id]; k != nil {
		m.ended = slices.DeleteFunc(m.ended, func(x *kept) bool { return x == k })
		m.forget(k)
	}
}

// replace puts another end in place of the one that an order had.
func (m *Memory) replace(r Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := m.byID[r.Order.ID]; k != nil {
		k.rec = r
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
