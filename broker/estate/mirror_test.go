package estate_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/broker/estate"
)

// site is a mirror with an owner whose records are in a map, within a bubble.
type site struct {
	*estate.Mirror
	t      *testing.T
	disk   *brokertest.Store
	common *estate.Memory

	mu      sync.Mutex
	records map[string]string // of table "t", but for keys that begin with "m", of "bulk"
	safe    uint64
}

func tableOf(key string) string {
	if key[0] == 'm' {
		return "bulk"
	}
	return "t"
}

func newSite(t *testing.T, cfg estate.Config) *site {
	t.Helper()
	s := &site{t: t, disk: brokertest.NewStore(t), common: new(estate.Memory), records: map[string]string{}}
	cfg.Node, cfg.Tables, cfg.Bulk = "a", []string{"t", "bulk"}, "bulk"
	var err error
	if s.Mirror, err = estate.New(cfg, "life", s.disk, s.common); err != nil {
		t.Fatal(err)
	}
	s.Attach(func(_, key string) ([]byte, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		v, ok := s.records[key]
		return []byte(v), ok
	}, func(pos uint64) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.safe = max(s.safe, pos)
	}, func(uint64, uint64) {})
	ctx, stop := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); tasks.Wait() })
	return s
}

// put changes a record; without a value there is none.
func (s *site) put(key, value string) (pos uint64) {
	s.mu.Lock()
	if s.records[key] = value; value == "" {
		delete(s.records, key)
	}
	s.mu.Unlock()
	return s.Touch(0, tableOf(key), key)
}

func (s *site) later(key, value string) {
	s.mu.Lock()
	if s.records[key] = value; value == "" {
		delete(s.records, key)
	}
	s.mu.Unlock()
	s.TouchLater(tableOf(key), key)
}

func (s *site) isSafe(pos uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.safe >= pos
}

// copied is what the common copy has.
func (s *site) copied() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	if err := s.common.Read(context.Background(), "a", func(r estate.Record) { all[r.Key] = string(r.Value) }); err != nil {
		s.t.Error(err)
	}
	return all
}

func (s *site) has(want map[string]string) {
	s.t.Helper()
	if got := s.copied(); !maps.Equal(got, want) {
		s.t.Errorf("the common copy has %v, want %v", got, want)
	}
}

// A position is told when it is safe on disk and with the other nodes: of the two the
// later counts.
func TestSafeInBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, estate.Config{})
		synctest.Wait()
		s.disk.Hold()
		first := s.put("x", "1")
		synctest.Wait()
		s.has(map[string]string{"x": "1"})
		if s.isSafe(first) {
			t.Error("it is told before it is on disk")
		}
		s.disk.Release()
		synctest.Wait()
		if !s.isSafe(first) {
			t.Error("it is not told when it is safe in both")
		}
		s.later("y", "2")
		synctest.Wait()
		s.has(map[string]string{"x": "1"})
		second := s.put("x", "")
		synctest.Wait()
		if s.has(map[string]string{"y": "2"}); !s.isSafe(second) {
			t.Error("it is not told")
		}
		if st := s.Stats(); !st.InStep || st.Owed != 0 || st.Alone != 0 || st.Losses != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

// slow is a common copy that takes its time to write.
type slow struct {
	estate.Common
	takes time.Duration
}

func (s slow) Write(ctx context.Context, node string, list []estate.Record) (string, error) {
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(s.takes):
		return s.Common.Write(ctx, node, list)
	}
}

// While the common copy takes its time nothing is told, and after a second it is told
// with the disk alone.
func TestSlowCommon(t *testing.T) {
	for takes, safe := range map[time.Duration]map[time.Duration]bool{
		500 * time.Millisecond: {400 * time.Millisecond: false, 600 * time.Millisecond: true},
		time.Hour:              {900 * time.Millisecond: false, 1100 * time.Millisecond: true},
	} {
		for after, want := range safe {
			t.Run(fmt.Sprint(takes, " after ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					disk, records := brokertest.NewStore(t), sync.Map{}
					m, err := estate.New(estate.Config{Node: "a", Tables: []string{"t"}}, "life", disk, slow{new(estate.Memory), takes})
					if err != nil {
						t.Fatal(err)
					}
					var mu sync.Mutex
					told := uint64(0)
					m.Attach(func(_, key string) ([]byte, bool) { _, ok := records.Load(key); return []byte("v"), ok },
						func(pos uint64) { mu.Lock(); told = pos; mu.Unlock() }, func(uint64, uint64) {})
					ctx, stop := context.WithCancel(t.Context())
					ended := make(chan error)
					go func() { ended <- m.Run(ctx) }() // joined below
					synctest.Wait()
					records.Store("x", true)
					pos := m.Touch(0, "t", "x")
					time.Sleep(after)
					synctest.Wait()
					mu.Lock()
					if got := told >= pos; got != want {
						t.Errorf("told %t, want %t", got, want)
					}
					mu.Unlock()
					if alone := m.Stats().Alone > 0; alone != (want && takes == time.Hour) {
						t.Errorf("stats %+v", m.Stats())
					}
					stop()
					<-ended
				})
			})
		}
	}
}

// While the common copy is away the disk is enough; once it is back it has all, and it is
// made anew where it was emptied, or begins with what is of no use.
func TestCommonComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, estate.Config{})
		synctest.Wait()
		s.put("x", "1")
		s.put("gone", "1")
		synctest.Wait()
		s.common.Away(true)
		for key, value := range map[string]string{"gone": "", "x": "2", "y": "3"} {
			pos := s.put(key, value)
			if synctest.Wait(); !s.isSafe(pos) {
				t.Errorf("%s waits for what is away", key)
			}
		}
		if st := s.Stats(); st.InStep || st.Alone == 0 || st.Losses != 1 {
			t.Errorf("stats %+v", st)
		}
		s.common.Away(false)
		time.Sleep(3 * time.Second)
		s.has(map[string]string{"x": "2", "y": "3"})

		s.common.Empty()
		s.put("z", "4")
		time.Sleep(3 * time.Second)
		s.has(map[string]string{"x": "2", "y": "3", "z": "4"})
		if st := s.Stats(); !st.InStep || st.Owed != 0 || st.Anew < 3 {
			t.Errorf("stats %+v", st)
		}
		if nodes, err := s.common.Nodes(t.Context()); err != nil || !slices.Equal(nodes, []string{"a"}) {
			t.Errorf("nodes %q, %v", nodes, err)
		}
	})
}

// What nobody waits for and is gone again is never written; what is over the bound is
// not, and counted; what makes room lets more in.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, estate.Config{Bytes: 10})
		synctest.Wait()
		before := s.Stats().Written
		s.later("m-short", "12345")
		time.Sleep(100 * time.Millisecond)
		s.later("m-short", "")
		time.Sleep(time.Second)
		if n := s.Stats().Written - before; n != 0 {
			t.Errorf("%d records are written that came and went", n)
		}
		s.put("m-1", "1234567")
		synctest.Wait()
		pos := s.put("m-2", "1234567")
		s.put("other", "not bounded, however long")
		synctest.Wait()
		s.has(map[string]string{"m-1": "1234567", "other": "not bounded, however long"})
		if st := s.Stats(); st.Over == 0 || st.Bytes != 7 || !s.isSafe(pos) {
			t.Errorf("stats %+v", st)
		}
		s.put("m-1", "")
		s.put("m-3", "1234567890")
		synctest.Wait()
		s.has(map[string]string{"m-3": "1234567890", "other": "not bounded, however long"})
	})
}

// Settle waits until what the heir keeps is with the other nodes.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, estate.Config{})
		synctest.Wait()
		c, err := s.Claim(t.Context(), "b", "x", 7, "")
		if err != nil || c != (estate.Claim{By: "a", At: 7}) {
			t.Fatalf("claim %+v, %v", c, err)
		}
		s.later("x", "of b")
		if err := s.Settle(t.Context(), "b", map[string]estate.Claim{"x": c}); err != nil {
			t.Fatal(err)
		}
		s.has(map[string]string{"x": "of b"})
		if c, err = s.Claim(t.Context(), "b", "x", 8, ""); err != nil || c != (estate.Claim{By: "a", At: 7, Done: true}) {
			t.Errorf("claim %+v, %v", c, err)
		}
		s.common.Away(true)
		s.put("y", "alone")
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if err := s.Settle(ctx, "b", map[string]estate.Claim{"x": c}); err == nil {
			t.Error("it is done while the common copy is away")
		}
	})
}

func TestConfig(t *testing.T) {
	if err := (estate.Config{Bytes: -1}).Validate(); err == nil {
		t.Error("no node and a negative bound are taken")
	}
}
