package host

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// An order that is handed in at a leader whom the hub follows is at the hub before
// its sender hears that it is accepted, and the hub is told how it goes on, with who
// has it.
func TestOrderIsAtTheHubBeforeItIsAccepted(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	term := s.accepted()
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	o.hubWait = time.Hour
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		ms := int64(1000)
		if err := o.Submit(context.Background(), area.Submit{Work: "w-9", DurMs: &ms, Body: []byte(`{"message":"fire drill"}`)}); err != nil {
			t.Error(err)
		}
		if is := o.own.knows("w-9"); is != toldKnown {
			t.Errorf("accepted while the hub knows %q", is)
		}
	}()
	u := s.hears(area.TrunkOrder, nil)
	if u.Order.ID != "w-9" || u.Order.State.Ended() || u.Handed.Work != "w-9" || *u.Handed.Body.Message != "fire drill" || u.Report.Work != "w-9" || u.Term != term && u.Term != 0 {
		t.Fatalf("%+v", u)
	}
	s.answers(o, func() bool { return o.own.knows("w-9") == toldKnown })
	<-accepted
	w := <-d.offers
	d.says(area.Claim{Op: area.OpTake, Work: w.Work, Att: w.Att}, area.OpAssigned)
	u = s.hears(area.TrunkOrder, func(u area.Trunk) bool { return u.Report.State == area.OrderAssigned })
	if g := u.Handed.Given; g == nil || *g != (area.Assignment{Device: "gate-2", MID: "m-gate-2", Boot: 1}) || u.Report.MID != "m-gate-2" {
		t.Errorf("told of the taker: %+v, %+v", u.Report, g)
	}
	s.down(area.Trunk{Op: area.TrunkGot, N: u.N})
	// It gives the area back: the hub goes on with it.
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	o = s.host()
	if live := o.own.Live(); len(live) != 0 || o.own.given["w-9"].MID != "m-gate-2" {
		t.Errorf("after a clean stop %+v, %+v", live, o.own.given)
	}
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	// It has crashed instead: where nobody led meanwhile it goes on, else the hub has
	// given the order to who did, and may give it to this device.
	for _, since := range []bool{false, true} {
		o = s.host()
		o.leads.Lock() // it does not hand over meanwhile
		o.own.mu.Lock()
		o.own.told["w-9"] = toldKnown
		o.own.mu.Unlock()
		o.own.led(since)
		if live := o.own.Live(); (len(live) == 0) != since {
			t.Errorf("somebody led since: %t, and there are %+v", since, live)
		}
		if err := o.quit(); err != nil {
			t.Fatal(err)
		}
	}
	o = s.leads(term + 64)
	<-o.addr
	if live := o.own.Live(); len(live) != 0 {
		t.Errorf("somebody led since, and it goes on with %+v", live)
	}
	s.accepted()
	s.down(area.Trunk{Op: area.TrunkSubmit, N: 7, Handed: &area.Handed{Work: "w-9", Prio: area.Normal, DurMs: 1000, TTLMs: -1, Body: area.Body{Kind: "announce"}, Att: 2}})
	s.hears(area.TrunkSubmitted, nil)
	if o.works.len() != 1 || len(o.own.Durable.Live()) != 0 {
		t.Errorf("it is the hub's now: %d works of the hub, own %+v", o.works.len(), o.own.Durable.Live())
	}
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
}

// A hub that does not answer holds nobody up for long: the order is durable here.
func TestOrderIsAcceptedWhereTheHubDoesNotAnswer(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	<-o.addr
	s.accepted()
	for _, id := range []area.WorkID{"w-1", "w-2"} {
		if err := o.Submit(t.Context(), area.Submit{Work: id, Body: []byte(`{"message":"later"}`)}); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[area.WorkID]bool{}
	s.hears(area.TrunkOrder, func(u area.Trunk) bool { ids[u.Order.ID] = true; return len(ids) == 2 })
	// It is told on the next connection too, and no more once this device does not lead:
	// then another is to go on with it.
	s.life = "h2"
	s.down(area.Trunk{Op: area.TrunkLed, Term: <-o.terms})
	s.hears(area.TrunkOrder, nil)
	if err := o.end(); err != nil {
		t.Fatal(err)
	}
	handed := map[area.WorkID]bool{}
	s.hears(area.TrunkReport, func(u area.Trunk) bool { handed[u.Order.ID] = true; return len(handed) == 2 })
	o.out.mu.Lock()
	defer o.out.mu.Unlock()
	if slices.ContainsFunc(o.out.list, func(m *owed) bool { return m.t.Op == area.TrunkOrder }) {
		t.Error("it says what a leader says")
	}
}

// What a device has played by the word of another arbiter is not lost, although it is
// told that it need not say it again.
func TestPlayedByAnotherArbitersWord(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	d.says(area.Claim{Op: area.OpDone, Claim: 1, Work: "o-3", Att: 1, Result: area.Played}, area.OpReleased)
	u := s.hears(area.TrunkReport, nil)
	if u.Report.Work != "o-3" || u.Report.State != area.OrderPlayed || u.Report.Device != "gate-2" || u.Order != nil {
		t.Errorf("%+v", u.Report)
	}
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
}

// An order for later is taken back by the hub before it is due.
func TestOrderForLaterIsTakenBack(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	<-o.addr
	s.accepted()
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	var submits sync.WaitGroup
	for _, id := range []area.WorkID{"w-1", "w-2"} {
		submits.Go(func() {
			if err := o.Submit(context.Background(), area.Submit{Work: id, Body: []byte(`{"message":"later","not_before":"` + later + `"}`)}); err != nil {
				t.Error(err)
			}
		})
		s.hears(area.TrunkOrder, func(u area.Trunk) bool { return u.Order.ID == id })
	}
	s.answers(o, func() bool { return o.own.knows("w-1") == toldKnown && o.own.knows("w-2") == toldKnown })
	submits.Wait()
	s.down(area.Trunk{Op: area.TrunkCancel, Work: "w-1", Reason: area.EndUser})
	s.hears(area.TrunkReport, func(u area.Trunk) bool {
		return u.Report.Work == "w-1" && u.Report.State == area.OrderCancelled && u.Report.Reason == area.EndUser
	})
	s.down(area.Trunk{Op: area.TrunkStored, Work: "w-2"}) // it has ended at the hub
	s.hears(area.TrunkReport, func(u area.Trunk) bool { return u.Report.Work == "w-2" && u.Report.State.Ended() })
}

// What the hub has not got of the record of what sounded is told after a restart, by
// the number that it had; and new ones have higher numbers.
func TestRecordsAreHandedUpAfterARestart(t *testing.T) {
	s := newSite(t)
	o := s.leads(0)
	addr := <-o.addr
	s.accepted()
	d := s.device(addr, "gate-2", leader.Secret(s.doc.Key, "gate-2"))
	g := d.says(area.Claim{Op: area.OpWant, Claim: 1, Dur: time.Second}, area.OpGrant)
	d.says(area.Claim{Op: area.OpDone, Claim: 1, Token: g.Token, Result: area.Played}, area.OpReleased)
	d.says(area.Claim{Op: area.OpDone, Claim: 2, Work: "o-3", Att: 1, Result: area.Played}, area.OpReleased)
	s.hears(area.TrunkReport, func(u area.Trunk) bool { return u.Report.Work == "o-3" }) // the line has heard of it
	said := map[uint64]string{}
	s.hears(area.TrunkRecord, func(u area.Trunk) bool { said[u.N] = string(u.Record); return len(said) == 2 }) // granted, and freed
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	o = s.host()
	if n := o.Stats().Owed; n < 3 {
		t.Errorf("%d are owed after the restart", n)
	}
	for len(said) > 0 {
		u := s.hears(area.TrunkRecord, nil)
		if rec, ok := said[u.N]; ok && rec != string(u.Record) || u.N <= area.SteadyN {
			t.Errorf("record %d is %s, was %s", u.N, u.Record, rec)
		}
		delete(said, u.N)
	}
	s.hears(area.TrunkReport, func(u area.Trunk) bool { return u.Report.Work == "o-3" && u.Report.State == area.OrderPlayed })
	newest := o.out.n
	s.answers(o, func() bool { return o.Stats().Owed == 0 })
	if err := o.quit(); err != nil {
		t.Fatal(err)
	}
	if o = s.host(); o.Stats().Owed != 0 || o.out.n < newest {
		t.Errorf("once the hub has it %d are owed, numbers go on from %d after %d", o.Stats().Owed, o.out.n, newest)
	}
}
