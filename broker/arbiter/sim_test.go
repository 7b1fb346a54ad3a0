package arbiter

import (
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "run this seed alone, and trace it")
	simTotal = flag.Int("sim.handovers", simHandOvers, "hand-overs to simulate")
	simFirst = flag.Uint64("sim.first", 1, "first seed")
	simBreak = flag.String("sim.mutant", "", "break this rule, with -sim.seed")
)

// simPerSeed is how many hand-overs a seed runs before its calm.
const simPerSeed = 2000

// TestSimulation hands the area over a million times among faults; at no moment
// two devices may sound, and no area may stay stuck (COORDINATION.md §6.1).
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		m := simMutants[*simBreak]
		s := newSim(*simSeed, simPerSeed, m.rule, m.bug)
		s.trace = testing.Verbose()
		if r := s.run(); r.bad() > 0 {
			t.Errorf("seed %d: %d overlaps, %d double tokens, %d stuck, %d starved, %d bad ends; first %s", *simSeed, r.overlaps, r.doubleTokens, r.stuck, r.starved, r.badEnds, r.firstBad)
		}
		return
	}
	began := time.Now()
	sum, seeds := simulate(t, *simTotal)
	took := time.Since(began)
	fmt.Printf("%d hand-overs, %d overlaps, %d seeds, %d double tokens, %d stuck, %d starved, %d bad ends in %.1f s (%.0f hand-overs/s, %.1f simulated days)\n",
		sum.handOvers, sum.overlaps, seeds, sum.doubleTokens, sum.stuck, sum.starved, sum.badEnds, took.Seconds(), float64(sum.handOvers)/took.Seconds(), sum.sim.Hours()/24)
	fmt.Printf("faults: %d device crashes, %d arbiter crashes, %d partitions, %d deaf, %d wills, %d of %d messages lost; %d emergencies, %d works (%d played twice); %+v\n",
		sum.crashes, sum.restarts, sum.partitions, sum.deaf, sum.wills, sum.lost, sum.messages, sum.emergencies, sum.works, sum.twice, sum.counts)
}

// simulate runs seeds until there are enough hand-overs; each is a world of its own.
func simulate(t *testing.T, total int) (sum simResult, seeds int) {
	seeds = (total + simPerSeed - 1) / simPerSeed
	var mu sync.Mutex
	eachSeed(*simFirst, seeds, func(seed uint64) {
		r := newSim(seed, simPerSeed, mutant{}, simBug{}).run()
		mu.Lock()
		defer mu.Unlock()
		sum.add(r)
		if r.bad() > 0 {
			t.Errorf("seed %d: %s\nreplay: go test ./broker/arbiter -run TestSimulation -sim.seed %d -v", seed, r.firstBad, seed)
		}
	})
	return sum, seeds
}

// eachSeed calls do with so many seeds, on two goroutines.
func eachSeed(first uint64, seeds int, do func(seed uint64)) {
	var next atomic.Uint64
	next.Store(first - 1)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for seed := next.Add(1); seed < first+uint64(seeds); seed = next.Add(1) {
				do(seed)
			}
		})
	}
	workers.Wait()
}

func (r *simResult) add(o simResult) {
	for _, p := range []struct {
		to   *int
		more int
	}{
		{&r.handOvers, o.handOvers}, {&r.overlaps, o.overlaps}, {&r.doubleTokens, o.doubleTokens}, {&r.stuck, o.stuck}, {&r.starved, o.starved},
		{&r.badEnds, o.badEnds}, {&r.crashes, o.crashes}, {&r.restarts, o.restarts}, {&r.partitions, o.partitions}, {&r.deaf, o.deaf}, {&r.wills, o.wills},
		{&r.emergencies, o.emergencies}, {&r.messages, o.messages}, {&r.lost, o.lost}, {&r.works, o.works}, {&r.twice, o.twice},
	} {
		*p.to += p.more
	}
	r.sim += o.sim
	a, b := &r.counts, o.counts
	a.Grants, a.LeaseExpired, a.Conflicts, a.Intruders = a.Grants+b.Grants, a.LeaseExpired+b.LeaseExpired, a.Conflicts+b.Conflicts, a.Intruders+b.Intruders
	a.Preemptions, a.Adoptions, a.Disconnects, a.Settlings = a.Preemptions+b.Preemptions, a.Adoptions+b.Adoptions, a.Disconnects+b.Disconnects, a.Settlings+b.Settlings
	a.Stale, a.Replaced = a.Stale+b.Stale, a.Replaced+b.Replaced
}

// simMutants are rules switched off, each of which the simulation must notice
// within 40 seeds.
var simMutants = map[string]struct {
	rule mutant
	bug  simBug
}{
	"random boot ids (§0, 5)":              {mutant{anyBoot: true}, simBug{randomBoot: true}},
	"no settling (§0, 6)":                  {mutant{noSettle: true}, simBug{}},
	"a will frees (§0, 4)":                 {mutant{willFrees: true}, simBug{}},
	"deadline from receipt (§0, 2)":        {mutant{}, simBug{fromReceipt: true}},
	"settles the new lease alone (§8.5)":   {mutant{shortSettle: true}, simBug{leases: true}},
	"forgets the longest lease (§8.5)":     {mutant{inheritsNone: true}, simBug{leases: true}},
	"holds are not durable (§8.3)":         {mutant{holdsForget: true}, simBug{}},
	"any machine's boot frees (§8.8)":      {mutant{anyMID: true}, simBug{}},
	"wants before hello (§8.8)":            {mutant{}, simBug{noHello: true}},
	"no watchdog (§8.16)":                  {mutant{}, simBug{noWatchdog: true}},
	"the term does not grow (§8.18)":       {mutant{sameTerm: true}, simBug{}},
	"superseded attempts play on (§8.12)":  {mutant{noSupersede: true}, simBug{}},
	"told before it is durable (§8.12)":    {mutant{tellsFirst: true}, simBug{disk: true}},
	"no wait for a taker (§8.12)":          {mutant{noTakerWait: true}, simBug{}},
	"longer leases are not written (§8.5)": {mutant{longAtOnce: true}, simBug{finish: true}},
	"hears others' answers (§8.8)":         {mutant{}, simBug{anyAnswer: true, clones: true}},
}
