package arbiter

import (
	"fmt"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/reign"
)

// A device says that it has played a work before the order service has handed it in, after
// a start: that is its end, and the device may forget it once it is durable.
func TestPlayedBeforeItIsHandedIn(t *testing.T) {
	d := idle(t).devices()
	d.work(nil, "offer(w1>,1) report(w1,offered,1)")
	d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
	e := newStand(t, string(d.disk), nil)
	e.want(Begin{}, "busy(settling)")
	e.slow = true
	e.hear("a", doneWith(area.Played, 1), "")
	if got := e.commit(nil); got != "a<released" {
		t.Errorf("once the end is durable: %q", got)
	}
	e.slow = false
	e.work(nil, "report(w1,played,1)")
	e.want(Stored{Work: "w1"}, "")
	if got := string(e.disk); got != `{"v":1,"term":65,"alive_ms":4250}` {
		t.Errorf("the record is %s", got)
	}
}

// Of several nodes the one that accepted a work may be down while it is played, or the
// ledger may have forgotten it: what was played is remembered until it is handed in.
func TestPlayedUnknownToTheArbiter(t *testing.T) {
	owner := func() *stand {
		d := newStand(t, "", func(c *CoreConfig) { c.ColdStart, c.Reigned = true, true })
		d.step(Begin{})
		return d
	}
	elsewhere := func(id area.WorkID) Ended {
		return Ended{Report: area.Report{Work: id, State: area.OrderPlayed, Device: "a", Att: 1}}
	}
	leaves := func(d *stand, n int, first area.WorkID) {
		t.Helper()
		if got := d.c.havePlayed(); len(got) != n || n > 0 && got[0].Work != first {
			t.Errorf("it leaves %v", got)
		}
	}
	for name, hears := range map[string]func(*stand){
		"by its device":   func(d *stand) { d.hear("a", doneWith(area.Played, 1), "a<released") },
		"by another node": func(d *stand) { d.want(elsewhere("w1"), "") },
	} {
		t.Run(name, func(t *testing.T) {
			d := owner()
			hears(d)
			leaves(d, 1, "w1")
			if r, err := parseRecord(d.disk); err != nil || len(r.Works) != 1 || r.Works[0].End != area.OrderPlayed {
				t.Errorf("its record is %s %v", d.disk, err)
			}
			d.work(nil, "report(w1,played,1)")
			d.work(nil, "report(w1,played,1)") // until it is stored
			d.want(Stored{Work: "w1"}, "")
			leaves(d, 0, "")
		})
	}
	d := owner()
	d.work(nil, "report(w1,waiting,1)")
	d.want(elsewhere("w1"), "report(w1,played,1)") // it was handed in before
	d = owner()
	for i := range mostPlayed + 3 {
		d.want(elsewhere(area.WorkID(fmt.Sprint("x-", i))), "")
	}
	leaves(d, mostPlayed, "x-3")
}

// An outpost tells each owner what was played, until he says that he knows; and it
// believes an owner whose reign is over that a work of its own was.
func TestOutpostTellsWhatWasPlayed(t *testing.T) {
	p := newPost(t)
	p.o.played.note(area.Report{Work: "w-9", State: area.OrderPlayed, Device: "gate-1", Att: 1})
	says := func(ev Event, want int) {
		t.Helper()
		p.now += sec
		for _, a := range p.o.step(ev, p.now) {
			if a, ok := a.(toOwner); ok && a.word.Join != nil {
				if got := len(a.word.Join.Played); got != want {
					t.Errorf("%T: it tells of %d, want %d", ev, got, want)
				}
				return
			}
		}
		t.Errorf("%T: it tells nothing", ev)
	}
	says(reigned{reign.State{Owner: "hub-1", Life: "l1", Term: 64}}, 1)
	p.o.step(p.from("hub-1", "l1", 64, word{}), p.now)
	says(Tick{}, 1)
	p.o.step(p.from("hub-1", "l1", 64, word{Joined: true}), p.now)
	says(Tick{}, 0)

	p.o.step(Submit{Work: area.Work{ID: "w-1", Area: "north"}, Expires: area.Never}, p.now)
	p.o.step(Submit{Work: area.Work{ID: "w-2", Area: "north"}, Expires: area.Never}, p.now)
	p.o.step(reigned{reign.State{Term: 64}}, p.now) // hub-1 is gone
	late := func(id area.WorkID, s area.OrderState, want string) {
		t.Helper()
		r := area.Report{Work: id, State: s, Device: "gate-1", Att: 1}
		p.want(p.from("hub-1", "l1", 64, word{Say: &area.Trunk{Op: area.TrunkReport, N: 9, Report: r.Reported(0)}}), want)
	}
	late("w-1", area.OrderPlayed, "report(w-1,played)")
	late("w-2", area.OrderFailed, "") // who has the area next may do better
	late("w-7", area.OrderPlayed, "") // not ours
	p.step(reigned{reign.State{Owner: "hub-3", Life: "l3", Term: 130}})
	p.want(p.from("hub-3", "l3", 130, word{Joined: true}), "submit()")
}

func (p *post) step(ev Event) { p.o.step(ev, p.now) }

// A node that starts has its record of before: what it gave to whom, perhaps while it
// went on by itself, and what has ended.
func TestErrandsOfTheRecord(t *testing.T) {
	e := newErrands([]workRecord{{Work: "w-1", Att: 1, Device: "gate-1", MID: "m", Boot: 3}, {Work: "w-2", Att: 2, Reason: "cut"}, {Work: "w-3", Att: 1, Device: "gate-1", End: area.OrderFailed}})
	for id, want := range map[area.WorkID]Submit{
		"w-1": {Att: 1, Given: &area.Assignment{Device: "gate-1", MID: "m", Boot: 3}},
		"w-2": {Att: 2, Reason: "cut"},
		"w-4": {},
	} {
		e.add(Submit{Work: area.Work{ID: id}})
		got := e.by[id].ev
		if got.Att != want.Att || got.Reason != want.Reason || (got.Given == nil) != (want.Given == nil) || got.Given != nil && *got.Given != *want.Given {
			t.Errorf("%s is %+v, want %+v", id, got, want)
		}
	}
	if r, over := e.ended("w-3"); !over || r.End != area.OrderFailed {
		t.Errorf("w-3 is %+v, %v", r, over)
	}
	e.remove("w-3")
	if _, over := e.ended("w-3"); over || len(e.kept) != 0 {
		t.Errorf("%v is kept", e.kept)
	}
}
