package arbiter

import (
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"
)

var (
	nodesSeed  = flag.Uint64("nodes.seed", 0, "run this seed of the nodes alone, and trace it")
	nodesTotal = flag.Int("nodes.handovers", nodesHandOvers, "hand-overs of nodes to simulate")
	nodesFirst = flag.Uint64("nodes.first", 1, "first seed")
	nodesBreak = flag.String("nodes.mutant", "", "break this rule, with -nodes.seed")
)

// nodesPerSeed is how many hand-overs a seed runs before its calm.
const nodesPerSeed = 500

// nodesHandOvers is how many hand-overs of nodes the simulation runs to by itself;
// make test has it run ten times as many, make simulate a hundred.
const nodesHandOvers = simHandOvers / 50

// TestSimulationOfNodes hands an area over whose hub is several nodes, among kills,
// stops, standstills and cuts of nodes and of the server that joins them, which also
// forgets, or knows less: at no moment two devices may sound, no token is granted
// twice, and the area never stays stuck; each order has one end, and is played once more
// only where nobody could know that it was, or as a second attempt.
func TestSimulationOfNodes(t *testing.T) {
	if *nodesSeed != 0 {
		w := newNodeWorld(*nodesSeed, nodeMutants[*nodesBreak], nodesPerSeed)
		w.trace = testing.Verbose()
		if r := w.run(); r.bad() > 0 {
			t.Errorf("seed %d: %+v", *nodesSeed, r)
		}
		return
	}
	began := time.Now()
	seeds := (*nodesTotal + nodesPerSeed - 1) / nodesPerSeed
	var sum nodeResult
	var mu sync.Mutex
	eachSeed(*nodesFirst, seeds, func(seed uint64) {
		r := newNodeWorld(seed, nodeBug{}, nodesPerSeed).run()
		mu.Lock()
		defer mu.Unlock()
		sum.add(r)
		if r.bad() > 0 {
			t.Errorf("seed %d: %s\nreplay: go test ./broker/arbiter -run TestSimulationOfNodes -nodes.seed %d -v", seed, r.first, seed)
		}
	})
	took := time.Since(began)
	fmt.Printf("nodes: %d hand-overs, %d overlaps, %d seeds, %d double tokens, %d stuck, %d starved in %.1f s (%.0f hand-overs/s, %.1f simulated days)\n",
		sum.handOvers, sum.overlaps, seeds, sum.doubleTokens, sum.stuck, sum.starved, took.Seconds(), float64(sum.handOvers)/took.Seconds(), sum.sim.Hours()/24)
	fmt.Printf("nodes: %d reigns, %d kills, %d stops, %d standstills, %d cuts; server: %d times emptied, %d times older, %d standstills; %d writes refused; devices: %d crashes, %d moves\n",
		sum.reigns, sum.kills, sum.stops, sum.pauses, sum.cuts, sum.flushes, sum.olds, sum.stalls, sum.refused, sum.crashes, sum.moves)
	fmt.Printf("nodes: %d orders, %d with a second end that nobody was told, %d with a wrong one; played twice: %d whose player was not heard, %d that the server had forgotten, %d wrongly\n", sum.orders, sum.second, sum.badEnds, sum.unheard, sum.forgotten, sum.badPlays)
	fmt.Printf("nodes: %d times a node went on by itself, %d plays that it granted then, %d of them began beside another's\n", sum.parted, sum.alone, sum.beside)
}

// nodeMutants are rules that are broken, each of which the simulation must notice.
var nodeMutants = map[string]nodeBug{
	"an area is taken at once (§8.1)":                 {noWait: true},
	"a write is done whatever is there (§0, 10)":      {noCompare: true},
	"a reign outlives its time (§8.1)":                {slow: true},
	"a lease counts from its grant's receipt (§0, 2)": {fromReceipt: true},
	"no disk remembers the terms (§8.18)":             {forgets: true},
	"per node, nothing is waited for (§8.11)":         {perNode: true, noRest: true},
	"per node, nothing has to run out (§8.11)":        {perNode: true, noRunOut: true},
	"superseded attempts of nodes play on (§8.12)":    {orders: true, core: mutant{noSupersede: true}},
	"a work is handed on once (§8.13)":                {orders: true, handsOnce: true},
	"an end is said once (§8.13)":                     {orders: true, endsOnce: true},
}
