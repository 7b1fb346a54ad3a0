package arbiter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// recordVersion is the version that is written, and the newest that is read.
const recordVersion = 1

// maxRecord bounds what is read; what is written stays far below.
const maxRecord = 4 << 20

// record is all that an arbiter leaves to the next one.
type record struct {
	V       int          `json:"v"`
	Term    uint64       `json:"term"`
	AliveMs int64        `json:"alive_ms"`        // longest life of a lease that may be alive, guard included (§8.5)
	Clean   bool         `json:"clean,omitempty"` // a clean stop: no lease was alive
	Token   area.Token   `json:"token,omitempty"` // of the newest grant, where there are several hub nodes
	Holds   []holdRecord `json:"holds,omitempty"`
	Works   []workRecord `json:"works,omitempty"`
}

// holdRecord is a hold without a lease (§8.3, §8.6). Its whole time is counted
// again from the start of who reads it.
type holdRecord struct {
	Kind   kind          `json:"kind"`
	Device area.DeviceID `json:"device"`
	Boot   uint64        `json:"boot,omitempty"`
	MID    string        `json:"mid,omitempty"`
	Claim  uint64        `json:"claim,omitempty"`
	Token  area.Token    `json:"token,omitempty"` // 0: an intruder
	Prio   int           `json:"prio,omitempty"`
	LeftMs int64         `json:"left_ms"`
	Work   area.WorkID   `json:"work,omitempty"`
	Att    int           `json:"att,omitempty"`
}

// workRecord is a work that was assigned at least once, until the order service
// has its end (§8.12).
type workRecord struct {
	Work   area.WorkID     `json:"work"`
	Att    int             `json:"att"`
	Device area.DeviceID   `json:"device,omitempty"` // who has it; empty: nobody now
	Boot   uint64          `json:"boot,omitempty"`
	MID    string          `json:"mid,omitempty"`
	Reason string          `json:"reason,omitempty"` // of the end, or of the end of the attempt before
	End    area.OrderState `json:"end,omitempty"`
	DurMs  int64           `json:"dur_ms,omitempty"`
}

// parseRecord is strict: an arbiter that misreads the past is worse than none.
// No bytes are the record of a new area.
func parseRecord(b []byte) (record, error) {
	if len(b) == 0 {
		return record{V: recordVersion}, nil
	}
	if len(b) > maxRecord {
		return record{}, fmt.Errorf("arbiter: the record has %d bytes, at most %d", len(b), maxRecord)
	}
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return record{}, fmt.Errorf("arbiter: read the record: %w", err)
	}
	if head.V != recordVersion {
		return record{}, fmt.Errorf("arbiter: the record has version %d, this program reads %d", head.V, recordVersion)
	}
	var r record
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return record{}, fmt.Errorf("arbiter: read the record: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return record{}, errors.New("arbiter: something follows the record")
	}
	return r, r.check()
}

func (r record) check() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("arbiter: record: "+format, args...))
	}
	ms := func(what string, n int64) {
		if n < 0 || n > int64(24*time.Hour/time.Millisecond) {
			bad("%s %d is out of range", what, n)
		}
	}
	counter := func(what string, n uint64) {
		if n > area.MaxCounter {
			bad("%s %d is out of range", what, n)
		}
	}
	if r.Term > mostTerm {
		bad("term %d is out of range", r.Term)
	}
	counter("token", uint64(r.Token))
	ms("alive_ms", r.AliveMs)
	for _, h := range r.Holds {
		ms("left_ms", h.LeftMs)
		counter("boot", h.Boot)
		counter("claim", h.Claim)
		counter("token", uint64(h.Token))
		if h.Kind != classic && h.Kind != dumb || h.Device == "" || h.Work != "" && !area.IsID(string(h.Work)) {
			bad("a hold has kind %q, device %q, work %q", h.Kind, h.Device, h.Work)
		}
	}
	for _, w := range r.Works {
		counter("boot", w.Boot)
		ms("dur_ms", w.DurMs)
		if !area.IsID(string(w.Work)) || w.Att < 1 || w.End != "" && !w.End.Ended() {
			bad("a work has id %q, attempt %d, end %q", w.Work, w.Att, w.End)
		}
	}
	return errors.Join(errs...)
}

func (r record) encode() []byte {
	r.V = recordVersion
	b, err := json.Marshal(r)
	if err != nil {
		panic("arbiter: a record of our own types does not encode: " + err.Error())
	}
	return b
}

// record is what a successor has to know of this arbiter.
func (c *Core) record() record {
	r := record{Term: c.term, AliveMs: c.alive.Milliseconds(), Clean: c.clean, Token: c.last}
	if !c.mutant.holdsForget {
		if h := c.holder; h != nil && h.kind != leased {
			r.Holds = append(r.Holds, h.record())
		}
		for _, h := range c.ghosts {
			if h.kind != leased {
				r.Holds = append(r.Holds, h.record())
			}
		}
		for _, h := range c.intruders {
			r.Holds = append(r.Holds, h.record())
		}
	}
	for _, w := range c.order {
		if w.recorded {
			r.Works = append(r.Works, w.record())
		}
	}
	r.Works = append(append(append(r.Works, c.start.Works...), c.ended...), c.heardOf.records()...)
	return r
}
