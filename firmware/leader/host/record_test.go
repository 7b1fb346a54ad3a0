package host

import (
	"errors"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// A leader whose disk takes no record any more assigns nothing, and leaves the area
// to a member whose disk does.
func TestAReignEndsWithItsDisk(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	d.publish(area.SubmitTopic("north"), []byte(`{"work":"w-9","dur_ms":1000,"body":{"message":"fire drill"}}`), false)
	offer := <-d.offers
	if err := o.store.Close(); err != nil { // from now on each write fails
		t.Fatal(err)
	}
	d.seq++
	take := area.Claim{Op: area.OpTake, Boot: 1, MID: "m-gate-2", Seq: d.seq, Work: offer.Work, Att: offer.Att}
	d.publish(area.ClaimTopic("north", "gate-2"), take.Encode(), false)
	if err := <-o.ended; !errors.Is(err, errRecord) {
		t.Errorf("the reign ends with %v", err)
	}
	for len(d.heard) > 0 {
		if a := <-d.heard; a.Op == area.OpAssigned {
			t.Errorf("assigned without a record: %+v", a)
		}
	}
}

func TestRecordKnowsForHowLongItFails(t *testing.T) {
	var now area.Instant
	r := newRecord(nil, func() area.Instant { return now })
	full := errors.New("full")
	for _, c := range []struct {
		after time.Duration
		write error
		given bool
	}{
		{0, full, false},
		{giveUpAfter - 1, full, false},
		{0, nil, false}, // it works again
		{giveUpAfter, full, false},
		{1, full, false},
		{giveUpAfter - 2, full, false},
		{1, full, true},
	} {
		now = now.Add(c.after)
		r.wrote(c.write)
		if err := r.given(); (err != nil) != c.given || c.given && (!errors.Is(err, errRecord) || !errors.Is(err, full)) {
			t.Errorf("at %v after %v: %v, want given up %v", now, c.write, err, c.given)
		}
	}
}
