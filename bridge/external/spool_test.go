package external

import (
	"fmt"
	"testing"
	"time"
)

// TestSpoolIsBounded: over the bound the oldest goes that is not on its way.
func TestSpoolIsBounded(t *testing.T) {
	store := newTable()
	s, err := openSpool("x", 3*(parcelCost+2), store, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	put := func(n int) { s.put(outgoing{topic: "t", payload: fmt.Append(nil, n), qos: 1}, now) }
	put(1)
	put(2)
	first, _, _ := s.next() // on its way
	s.keep(now.Add(ripe/2), false)
	if store.len() != 0 {
		t.Error("written at once")
	}
	s.keep(now.Add(ripe), false)
	if store.len() != 2 {
		t.Errorf("%d written, want 2", store.len())
	}
	put(3)
	put(4)
	if waiting, dropped := s.counts(); waiting != 3 || dropped != 1 || store.len() != 1 {
		t.Errorf("%d wait, %d dropped, %d on disk", waiting, dropped, store.len())
	}
	var got []string
	for {
		_, m, ok := s.next()
		if !ok {
			break
		}
		got = append(got, string(m.payload))
	}
	put(5) // there is no room beside what is on its way
	if _, dropped := s.counts(); fmt.Sprint(got) != "[3 4]" || dropped != 2 {
		t.Errorf("%v, %d dropped", got, dropped)
	}
	s.done(first)
	if waiting, _ := s.counts(); waiting != 2 || store.len() != 0 {
		t.Errorf("%d wait, %d on disk", waiting, store.len())
	}
	store.full = true
	s.keep(now.Add(time.Hour), false) // a full disk is said, and nothing else comes of it
	s.rewind(0)
	if _, m, ok := s.next(); !ok || string(m.payload) != "3" {
		t.Errorf("after rewinding %s %t", m.payload, ok)
	}
}

// TestSpoolOfALinkThatWorks: what is done before it is ripe is never written, also when
// the hub ends.
func TestSpoolOfALinkThatWorks(t *testing.T) {
	store := newTable()
	s, err := openSpool("x", 1<<20, store, logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for range 100 {
		s.put(outgoing{topic: "t", qos: 1}, now)
		seq, _, _ := s.next()
		s.keep(now.Add(ripe-1), false)
		s.done(seq)
		now = now.Add(ripe)
		s.keep(now, false)
	}
	s.keep(now, true)
	if store.puts != 0 {
		t.Errorf("%d were written on a link that works", store.puts)
	}
}

// TestWindowSkipsWhatIsDone: a source that is rewound does not hand out again what
// is done behind something that is not.
func TestWindowSkipsWhatIsDone(t *testing.T) {
	sp, err := openSpool("x", 1<<20, newTable(), logTo(t))
	if err != nil {
		t.Fatal(err)
	}
	q := newQueue(10, 1000)
	for i := range 3 {
		m := outgoing{topic: "t", payload: fmt.Append(nil, i)}
		sp.put(m, time.Now())
		if err := q.put(t.Context(), []outgoing{m}); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range map[string]source{"spool": sp, "queue": q} {
		var seqs []uint64
		for {
			seq, _, ok := s.next()
			if !ok {
				break
			}
			seqs = append(seqs, seq)
		}
		s.done(seqs[1])
		s.done(seqs[1])
		s.rewind(0)
		got := ""
		for {
			_, m, ok := s.next()
			if !ok {
				break
			}
			got += string(m.payload)
		}
		if got != "02" {
			t.Errorf("%s hands out %s, want 02", name, got)
		}
	}
}
