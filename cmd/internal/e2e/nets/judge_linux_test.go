package nets

import (
	"encoding/json"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/cmd/internal/heard"
)

// buffer is what a loudspeaker may still sound of a program that stood still: its
// last chunk was let through before (COORDINATION.md §3.7, iii).
const buffer = 50 * time.Millisecond

// allow is what a verdict lets pass.
type allow struct {
	overlap time.Duration // at most, of any two recordings
	split   *split        // parts that could not hear of each other
	// An order may have been cut short twice, or not been heard of any more, and then
	// ends failed; and where nobody could know that it was played, since the device was
	// not heard from its grant to its lease's end and longer, another has played it again.
	lost bool
}

// split is a time in which an area was in parts: each has a voice of its own, and two
// of them may be heard at once. No new overlap begins later than the grace after the
// heal (COORDINATION.md §8.21).
type split struct {
	part       []*gate // one of two
	from, heal time.Time
}

const grace = 5 * time.Second

// excuses tells whether two may be heard at once.
func (a allow) excuses(one, other area.DeviceID, at time.Time, d time.Duration) bool {
	if d <= a.overlap {
		return true
	}
	within := func(d area.DeviceID) bool {
		return slices.ContainsFunc(a.split.part, func(g *gate) bool { return g.id == d })
	}
	return a.split != nil && within(one) != within(other) && at.After(a.split.from) && at.Before(a.split.heal.Add(grace))
}

// judge waits until every order has its end, and fails the test unless each was
// played, whole once, no two devices could be heard at once, and the hub's record
// says the same.
func (s *site) judge(a allow) {
	s.t.Helper()
	played := map[area.WorkID]int{}
	for _, id := range s.orders {
		switch o := s.ended(id); {
		case o.State == area.OrderPlayed:
			played[id] = 1
		case !a.lost || o.State != area.OrderFailed || o.Reason == nil || *o.Reason != area.EndCut && *o.Reason != area.EndLostContact:
			s.t.Errorf("order %s", story(o, nil))
		}
	}
	s.free() // so that the last report is in the hub's record
	for _, g := range s.gates {
		g.silent()
	}
	s.oneVoice(a, played)
	s.proved(a)
}

// oneVoice judges the recordings; played is how often each order is to be heard.
func (s *site) oneVoice(a allow, played map[area.WorkID]int) {
	s.t.Helper()
	var listed, sounded []heard.Play
	for _, g := range s.gates {
		plays, sounds := g.plays(), g.gather(heard.Sounds)
		for _, p := range sounds {
			const edge = 2 * time.Millisecond
			if !slices.ContainsFunc(heard.Join(plays), func(l heard.Play) bool { return !p.From.Before(l.From.Add(-edge)) && !p.To.After(l.To.Add(edge)) }) {
				s.t.Errorf("%s is heard at %v, in no play of its list %v", g.id, p, plays)
			}
		}
		listed, sounded = append(listed, plays...), append(sounded, sounds...)
	}
	if len(sounded) == 0 {
		s.t.Error("nothing can be heard")
	}
	for how, plays := range map[string][]heard.Play{"by the lists": listed, "by the samples": sounded} {
		for _, o := range heard.Overlaps(plays) {
			if !a.excuses(o.A.Device, o.B.Device, o.B.From, o.For) {
				s.t.Errorf("two voices, %s: %v", how, o)
			}
		}
	}
	whole, most := heard.Whole(listed, s.lengths), 1
	if a.lost {
		most = 2 // attempts
	}
	for _, id := range s.orders {
		if whole[id] > most || whole[id] < played[id] {
			s.t.Errorf("order %s was heard whole %d times, it was played %d times: %v", id, whole[id], played[id], listed)
		}
	}
	if testing.Verbose() {
		s.t.Logf("heard %v", listed)
	}
}

// proved asks the hub's tool for what it makes of its record.
func (s *site) proved(a allow) {
	s.t.Helper()
	cmd := exec.Command(tacet(s.t), "area", "proof", "north", "--since", "24h", "--offline", "--data", s.hub.data, "--json")
	out, err := cmd.Output()
	var v proof.Verdict
	if json.Unmarshal(out, &v) != nil {
		s.t.Fatalf("proof of the area: %v: %s", err, out)
	}
	v.Findings = slices.DeleteFunc(v.Findings, func(f proof.Finding) bool {
		return f.Is == proof.Conflict || f.Is == proof.Overlap && a.excuses(f.Plays[0].Device, f.Plays[1].Device, f.At.Time, time.Duration(f.Ms)*time.Millisecond)
	})
	if v.Broken != "" || len(v.Findings) > 0 || v.Plays == 0 || v.Measured == 0 {
		s.t.Errorf("the hub's record says %s", out)
	}
}
