package proof

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// fresh is a node that has nothing yet, of a plant of which none of these lives.
func (p *plant) fresh(name string, gone ...string) (b *Book, stop func()) {
	p.t.Helper()
	for _, node := range gone {
		if err := os.RemoveAll(p.dirs[node]); err != nil {
			p.t.Fatal(err)
		}
		delete(p.dirs, node)
	}
	return p.node(name, 0)
}

// TestAFreshNodeHasTheRecordOfThoseThatAreGone: the nodes that recorded it were replaced
// one after the other and both at once, their disks with them; what they had in common
// tells all, up to when it is known, and by which clock.
func TestAFreshNodeHasTheRecordOfThoseThatAreGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		p.common = NewMemory(-time.Minute)
		one, stopOne := p.node("hub-1", 0)
		two, stopTwo := p.node("hub-2", time.Hour)
		for i := range 20 {
			plays([]*Book{one, two}[i%2], area.DeviceID(fmt.Sprint("d", i%3)), area.Token(i+1))
		}
		own := p.verdict(one)
		time.Sleep(wordEvery)
		stopOne()
		died := time.Now()
		p.kill("hub-2", stopTwo)
		three, stopThree := p.fresh("hub-3", "hub-1", "hub-2")
		time.Sleep(15 * time.Second)
		v := p.verdict(three)
		if !v.OneVoice || v.Plays != 20 || v.Measured != 20 || v.Unmeasured != 0 || v.Missing != 0 || len(v.Nodes) != 3 {
			t.Errorf("%+v", v)
		}
		if c := strandOf(v, "hub-1"); c.Incomplete || c.Broken != "" || strings.Compare(c.Chain, own.Chain) == 0 {
			t.Errorf("of the one that stopped in order: %+v", c)
		}
		c := strandOf(v, "hub-2")
		if !c.Incomplete || c.Behind != 0 || c.ClockMs < 3_599_990 || c.ClockMs > 3_600_010 || c.Known == nil || died.Sub(c.Known.Time) > 2*wordEvery || c.Known.After(died) {
			t.Errorf("of the one that died at %v: %+v", died, c)
		}
		stopThree()
		if v, err := CheckFiles(filepath.Join(p.dirs["hub-3"], "proof", "north"), filepath.Join(p.dirs["hub-3"], "proof-of"), "north", time.UnixMilli(0)); err != nil || v.Plays != 20 || v.Broken != "" {
			t.Errorf("its files: %+v, %v", v, err)
		}
	})
}

// TestAnOverlapOfThoseThatAreGoneIsFound.
func TestAnOverlapOfThoseThatAreGoneIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		p.common = NewMemory(0)
		one, stopOne := p.node("hub-1", 0)
		two, stopTwo := p.node("hub-2", -time.Hour)
		time.Sleep(2 * wordEvery)
		one.Note("north", Record{Is: Granted, Device: "d1", Token: 1})
		two.Note("north", Record{Is: Granted, Device: "d22", Token: 2})
		begin := time.Now()
		time.Sleep(5 * time.Second)
		sounds(one, "d1", 1, begin, time.Now())
		sounds(two, "d22", 2, begin.Add(400*time.Millisecond), time.Now())
		stopOne()
		stopTwo()
		three, stopThree := p.fresh("hub-3", "hub-1", "hub-2")
		time.Sleep(time.Second)
		if v := p.verdict(three); v.OneVoice || v.Overlaps != 1 || v.Findings[0].Ms < 2500 || v.Findings[0].Ms > 2700 {
			t.Errorf("%+v, %+v", v.Counts, v.Findings) // 4.6 s, and each clock may be off by a second
		}
		if n := three.Overlaps(); n != 1 {
			t.Errorf("%d overlaps on the dashboard", n)
		}
		stopThree()
	})
}

// TestANodeWithAnotherDiskGoesOn where its record ended, for itself and for those that had
// copied it: the disk is new, or was put back to what it was before.
func TestANodeWithAnotherDiskGoesOn(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir, before string){
		"new": func(*testing.T, string, string) {},
		"put back": func(t *testing.T, dir, before string) {
			if err := os.CopyFS(dir, os.DirFS(before)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlant(t)
				p.common = NewMemory(0)
				one, stopOne := p.node("hub-1", 0)
				two, stopTwo := p.node("hub-2", 0)
				defer stopTwo()
				before := t.TempDir()
				for i := range 10 {
					if plays(one, "d1", area.Token(i+1)); i == 4 {
						if err := os.CopyFS(before, os.DirFS(p.dirs["hub-1"])); err != nil {
							t.Fatal(err)
						}
					}
				}
				time.Sleep(time.Second)
				p.kill("hub-1", stopOne)
				if err := os.RemoveAll(p.dirs["hub-1"]); err != nil {
					t.Fatal(err)
				}
				change(t, p.dirs["hub-1"], before)
				one, stopOne = p.node("hub-1", 0)
				plays(one, "d1", 11)
				time.Sleep(2 * followEvery)
				for _, b := range []*Book{one, two} {
					if v := p.verdict(b); !v.OneVoice || v.Plays != 11 || v.Measured != 11 {
						t.Errorf("%q %+v", v.Broken, v.Counts)
					}
				}
				if s := one.Stats(); s.Regained == 0 || s.MirrorForks != 0 || two.Stats().Forks != 0 {
					t.Errorf("%+v", s)
				}
				stopOne()
			})
		})
	}
}

// TestWhatIsInCommonHeals: it was away, emptied, set back, or lost a part; each time it is
// filled from the disks, of those too that do not live.
func TestWhatIsInCommonHeals(t *testing.T) {
	for name, trouble := range map[string]func(m *Memory, play func()){
		"away":  func(m *Memory, play func()) { m.Away(true); play(); time.Sleep(time.Minute); m.Away(false) },
		"empty": func(m *Memory, play func()) { play(); m.forget() },
		"set back": func(m *Memory, play func()) {
			restore := m.Snapshot()
			play()
			time.Sleep(2 * wordEvery)
			restore()
		},
		"a part": func(m *Memory, play func()) { m.lose(); play() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlant(t)
				m := NewMemory(0)
				p.common = m
				one, stopOne := p.node("hub-1", 0)
				two, stopTwo := p.node("hub-2", 0)
				plays(two, "d2", 1)
				time.Sleep(wordEvery)
				p.kill("hub-2", stopTwo)
				token := area.Token(1)
				play := func() {
					for range 5 {
						token++
						plays(one, "d1", token)
					}
				}
				play()
				trouble(m, play)
				play()
				time.Sleep(2 * fallenEvery)
				p.kill("hub-1", stopOne)
				three, stopThree := p.fresh("hub-3", "hub-1", "hub-2")
				time.Sleep(time.Second)
				v := p.verdict(three)
				plays := uint64(token)
				if name == "a part" {
					plays-- // what nobody has written to since is not missed: its node would
				}
				if !v.OneVoice || v.Plays != plays || v.Broken != "" || v.Missing != 0 {
					t.Errorf("%d of %d plays: %q, %+v, %+v", v.Plays, token, v.Broken, v.Counts, v.Nodes)
				}
				stopThree()
			})
		})
	}
}

// TestWhatIsInCommonIsBounded, begins with a file, and is whole.
func TestWhatIsInCommonIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		m := NewMemory(0)
		p.common = m
		one, stopOne := p.node("hub-1", 0)
		write := func() {
			for range 400 { // some six files of 64 KiB
				one.Note("north", Record{Is: Intruder, Node: strings.Repeat("x", 900)})
				time.Sleep(time.Millisecond)
			}
		}
		for _, round := range []string{"all the time", "after it was away"} {
			m.Away(round != "all the time")
			write()
			m.Away(false)
			time.Sleep(10 * time.Second)
			if n, files := m.Bytes("hub-1"); n > commonOfPlant || n < commonOfPlant-(65<<10) || files != 2 {
				t.Errorf("%s: %d bytes in %d files", round, n, files)
			}
		}
		stopOne()
		three, stopThree := p.fresh("hub-3", "hub-1")
		time.Sleep(time.Second)
		if v := p.verdict(three); v.Broken != "" || v.Intruders < 60 || len(v.Incomplete()) != 0 {
			t.Errorf("%q, %+v %+v", v.Broken, v.Counts, v.Nodes)
		}
		stopThree()
	})
}

// TestAChangeOfWhatIsInCommonIsFound, by who reads it, and what was copied before stays.
func TestAChangeOfWhatIsInCommonIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		m := NewMemory(0)
		p.common = m
		one, stopOne := p.node("hub-1", 0)
		two, stopTwo := p.node("hub-2", 0)
		plays(one, "d1", 1)
		plays(one, "d2", 2)
		time.Sleep(wordEvery)
		stopOne()
		if m.Change("hub-1", []byte(`"device":"d2"`), []byte(`"device":"d9"`)) != 1 {
			t.Fatal("nothing is changed")
		}
		time.Sleep(time.Minute)
		if v := p.verdict(two); v.Broken != "" || !v.OneVoice || v.Plays != 2 {
			t.Errorf("where it was copied before: %q, %+v", v.Broken, v.Counts)
		}
		p.kill("hub-2", stopTwo)
		three, stopThree := p.fresh("hub-3")
		time.Sleep(time.Second)
		if v := p.verdict(three); v.OneVoice || !strings.HasPrefix(v.Broken, "node hub-1: what the nodes have in common") || three.Stats().CopyFailed == 0 {
			t.Errorf("who reads it: %q, %+v", v.Broken, v.Counts)
		}
		stopThree()
	})
}

// TestARecordThatBeginsAgainIsPutAside: a node comes back with nothing while what is in
// common is away.
func TestARecordThatBeginsAgainIsPutAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlant(t)
		m := NewMemory(0)
		p.common = m
		one, stopOne := p.node("hub-1", 0)
		plays(one, "d1", 1)
		time.Sleep(wordEvery)
		p.kill("hub-1", stopOne)
		for n := range 2 {
			m.Away(true)
			one, stopOne = p.fresh("hub-1", "hub-1")
			m.Away(false)
			plays(one, "d2", 2)
			time.Sleep(wordEvery)
			if s := one.Stats(); s.MirrorForks != 1 {
				t.Errorf("%+v", s)
			}
			if _, files := m.Bytes("hub-1"); files != 2 {
				t.Errorf("%d files after start %d", files, n+2)
			}
			p.kill("hub-1", stopOne)
		}
		three, stopThree := p.fresh("hub-3", "hub-1")
		time.Sleep(time.Second)
		if v := p.verdict(three); !strings.Contains(v.Broken, "kept aside") || v.Plays != 1 {
			t.Errorf("%q, %+v", v.Broken, v.Counts)
		}
		stopThree()
	})
}
