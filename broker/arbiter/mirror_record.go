package arbiter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// ledRecord is what a hub that starts has to know of an area that was led by a
// device, or whose works are in a device's hands.
type ledRecord struct {
	V       int           `json:"v"`
	Term    uint64        `json:"term"`
	Leader  area.DeviceID `json:"leader,omitempty"` // empty: the hub arbitrates
	Gave    bool          `json:"gave,omitempty"`   // it has resigned
	AliveMs int64         `json:"alive_ms,omitempty"`
	Holds   []area.Hold   `json:"holds,omitempty"`
	Works   []ledWork     `json:"works,omitempty"`
	Split   *parted       `json:"split,omitempty"` // that is not over
}

// ledWork is a work in the hands of a leader, as far as is known.
type ledWork struct {
	workRecord
	To area.DeviceID `json:"to,omitempty"` // whose hands; empty: not sent yet
}

func (w ledWork) given() *area.Assignment {
	if w.Device == "" {
		return nil
	}
	return &area.Assignment{Device: w.Device, MID: w.MID, Boot: w.Boot}
}

func (w ledWork) of(a *away) ledWork { return ledWork{workRecord: a.ev.record(), To: a.to} }

// parseLed is strict, as parseRecord.
func parseLed(b []byte) (ledRecord, error) {
	if len(b) == 0 {
		return ledRecord{V: recordVersion}, nil
	}
	var r ledRecord
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return ledRecord{}, fmt.Errorf("arbiter: read the record of a leader: %w", err)
	}
	if r.V != recordVersion {
		return ledRecord{}, fmt.Errorf("arbiter: the record of a leader has version %d, this program reads %d", r.V, recordVersion)
	}
	if r.Term > mostTerm || r.AliveMs < 0 || r.AliveMs > (24*time.Hour).Milliseconds() || r.Leader != "" && !area.IsID(string(r.Leader)) {
		return ledRecord{}, errors.New("arbiter: record of a leader: term, alive_ms or leader is out of range")
	}
	if s := r.Split; s != nil && (!area.IsID(string(s.Leader)) || s.Term > mostTerm || s.Own > mostTerm) {
		return ledRecord{}, errors.New("arbiter: record of a leader: the leader or a term of the split is out of range")
	}
	for _, w := range r.Works {
		if !area.IsID(string(w.Work)) || w.Att < 1 || w.End != "" {
			return ledRecord{}, fmt.Errorf("arbiter: record of a leader: work %q, attempt %d, end %q", w.Work, w.Att, w.End)
		}
	}
	return r, nil
}

// record is what the next start has to know; nil: nothing.
func (m *mirror) record() []byte {
	if m.leader == "" && len(m.works.order) == 0 && !m.split.open() {
		return nil
	}
	r := ledRecord{V: recordVersion, Term: m.term, Leader: m.leader, Gave: m.gave, AliveMs: m.alive.Milliseconds(), Holds: append(leftOf(m.holds, m.now), leftOf(m.left, m.now)...)}
	if m.split.open() {
		r.Split = m.split
	}
	for _, a := range m.works.order {
		r.Works = append(r.Works, ledWork{}.of(a))
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic("arbiter: a record of our own types does not encode: " + err.Error())
	}
	return b
}

// gist is what of the record has to outlive a ledger of nodes that forgets it: who
// leads, and what he may have granted. nil: nobody does.
func (m *mirror) gist() []byte {
	if m.leader == "" {
		return nil
	}
	b, err := json.Marshal(ledRecord{V: recordVersion, Term: m.term, Leader: m.leader, Gave: m.gave, AliveMs: m.alive.Milliseconds(), Holds: append(leftOf(m.holds, m.now), leftOf(m.left, m.now)...)})
	if err != nil {
		panic("arbiter: a record of our own types does not encode: " + err.Error())
	}
	return b
}

// notebook is how far the mirror's record has come. Each one is whole, so that
// the newest makes up for those that could not be written.
type notebook struct {
	changed      bool
	seq, durable uint64
	retry        area.Instant // after a failed write; 0: none has failed
}

// next is the number of the record that will have what is changed now.
func (n *notebook) next() uint64 { return n.seq + 1 }

func (n *notebook) has(seq uint64) bool { return n.durable >= seq }

// settled tells whether nothing waits to be written.
func (n *notebook) settled() bool { return !n.changed && n.durable == n.seq }

func (n *notebook) retryAt() area.Instant {
	if n.retry == 0 {
		return area.Never
	}
	return n.retry
}

func (n *notebook) answer(ev kept, now area.Instant) {
	switch {
	case ev.err != nil:
		n.retry = now.Add(retryAfter)
	case ev.seq > n.durable && ev.seq <= n.seq:
		n.durable, n.retry = ev.seq, 0
	}
}

// write hands the record out, where it has changed or could not be written.
func (m *mirror) write() {
	n := &m.kept
	if n.retry != 0 && m.now >= n.retry {
		n.changed, n.retry = true, m.now.Add(retryAfter)
	}
	if !n.changed {
		return
	}
	n.changed = false
	n.seq++
	m.do(keep{seq: n.seq, record: m.record()})
}
