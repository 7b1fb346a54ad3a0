package host

import (
	"errors"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// A leader whose disk takes nothing any more assigns nothing, and leaves the area to
// a member whose disk does.
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
	if err := <-o.ended; !errors.Is(err, errDisk) {
		t.Errorf("the reign ends with %v", err)
	}
	for len(d.heard) > 0 {
		if a := <-d.heard; a.Op == area.OpAssigned {
			t.Errorf("assigned without a record: %+v", a)
		}
	}
	if err := o.Lead(t.Context(), leader.Reign{Peers: s.doc}); err == nil {
		t.Error("it leads again with a store that is closed")
	}
}

func TestDisk(t *testing.T) {
	d, now := newDisk(store.Stats{Failed: 4, Refused: 1, Written: 7}), area.Instant(0)
	for i, c := range []struct {
		after time.Duration
		s     store.Stats
		given bool
	}{
		{time.Second, store.Stats{Failed: 4, Refused: 1, Written: 7}, false}, // what was before the reign
		{time.Minute, store.Stats{Failed: 5, Refused: 1, Written: 7}, false},
		{giveUpAfter - 1, store.Stats{Failed: 6, Refused: 1, Written: 7}, false},
		{1, store.Stats{Failed: 7, Refused: 1, Written: 8}, false}, // something can be written
		{time.Second, store.Stats{Failed: 7, Refused: 2, Written: 8}, false},
		{giveUpAfter - 1, store.Stats{Failed: 7, Refused: 2, Written: 8}, false},
		{1, store.Stats{Failed: 7, Refused: 3, Written: 8}, true},
		{time.Second, store.Stats{Failed: 7, Refused: 3, Written: 9}, false},
	} {
		now = now.Add(c.after)
		if got := d.look(c.s, now); got != c.given {
			t.Errorf("%d: gives up %v, want %v: %+v", i, got, c.given, d)
		}
	}
}
