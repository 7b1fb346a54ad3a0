package cases

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"github.com/tacet-hub/tacet/broker"
)

// testCase is one thing that a client may do, or that may become of it.
type testCase struct {
	name string
	rows []string // what it shows: see the package comment
	run  func(*site)

	setup setup

	bare      verdict // what the bare library makes of it
	because   string  // why it is not run there, or not judged
	slow      bool    // not under the race detector, where a bubble's day takes a minute
	on        place   // where it can be run; zero: anywhere
	bareWaits bool    // not in a bubble: there the library waits for a lock, which stops the time
}

// setup is what a case needs of a broker.
type setup struct {
	ours    func(*broker.Config) // nil: as it comes
	bare    func(*mqtt.Options)  // nil: as it comes
	people  []person             // who may sign in, the pair besides; empty: anybody, and everything is allowed
	durable bool                 // it keeps its state on a disk
	refuse  string               // a topic that the program around the broker refuses to take
}

// verdict is what is expected of the bare library.
type verdict int

const (
	fails   verdict = iota // the row says so: it must
	passes                 // no fault of its
	unruled                // anything: see because
)

// place is where a case can be run.
type place int

const (
	anywhere place = iota
	inBubble       // it needs more time than a test has
	onSocket       // it is about sockets
	inChild        // and about the descriptors of a process
)

// groups are all cases, by what they are about.
var groups = []struct {
	name  string
	cases []testCase
}{
	{"connection", connectionCases},
	{"packets", packetCases},
	{"correctness", correctnessCases},
	{"security", securityCases},
	{"identity", identityCases},
	{"limits", limitCases},
	{"retained and sessions", sessionCases},
	{"durable", durableCases},
}

// each runs a test for every case that is wanted, side by side.
func each(t *testing.T, want func(testCase) bool, test func(*testing.T, testCase)) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				if want(c) && !(c.slow && raceDetector) {
					t.Run(c.name, func(t *testing.T) {
						t.Parallel()
						test(t, c)
					})
				}
			}
		})
	}
}

// starter starts a broker for a case.
type starter func(set setup, over string, log *record) (server, error)

// try runs a case against a broker, in a bubble or out of it.
func try(t *testing.T, c testCase, start starter, over string, bubble bool, patience time.Duration) (fault error) {
	t.Helper()
	one := func() {
		s := &site{patience: patience, bubble: bubble, log: &record{}}
		var err error
		s.server, err = start(c.setup, over, s.log)
		_, s.bare = s.server.(*bare)
		if err != nil {
			t.Errorf("start: %v", err)
			return
		}
		fault = judge(c, s)
	}
	if bubble {
		synctest.Test(t, func(*testing.T) { one() })
	} else {
		one()
	}
	return fault
}

// TestOursOverPipes runs every case in a bubble.
func TestOursOverPipes(t *testing.T) {
	t.Parallel()
	each(t, func(c testCase) bool { return c.on == anywhere || c.on == inBubble }, func(t *testing.T, c testCase) {
		if err := try(t, c, startOurs, "pipe", true, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// TestOursOverSockets runs every case that does not need a bubble's time.
func TestOursOverSockets(t *testing.T) {
	t.Parallel()
	each(t, func(c testCase) bool { return c.on == anywhere || c.on == onSocket }, func(t *testing.T, c testCase) {
		if err := try(t, c, startOurs, "tcp", false, time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// TestOursWithFewDescriptors runs the cases about connections in a process that
// may open 256.
func TestOursWithFewDescriptors(t *testing.T) {
	t.Parallel()
	for _, c := range connectionCases {
		if c.on == inBubble {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if err := try(t, c, inChildOf(t, "ours", c), "tcp", false, time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestOursWholeWithFewDescriptors runs all other cases, broker and clients, in
// one such process.
func TestOursWholeWithFewDescriptors(t *testing.T) {
	t.Parallel()
	var others []string
	for _, g := range groups[1:] { // those of the first take more themselves: see above
		others = append(others, strings.ReplaceAll(g.name, " ", "_"))
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestOursOverSockets$/^("+strings.Join(others, "|")+")$", "-test.v")
	cmd.Env = append(os.Environ(), childFew+"=yes")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if n := strings.Count(string(out), "--- PASS"); n < 100 {
		t.Errorf("%d cases ran", n)
	}
}

// TestBare shows that the cases can fail: the bare library fails those whose
// rows say so.
func TestBare(t *testing.T) {
	t.Parallel()
	each(t, func(c testCase) bool { return c.bare != unruled }, func(t *testing.T, c testCase) {
		start, over, bubble, patience := starter(startBare), "pipe", true, time.Minute
		switch {
		case c.on == inChild:
			start, bubble, patience = inChildOf(t, "bare", c), false, 5*time.Second
		case c.on == onSocket:
			over, bubble, patience = "tcp", false, 2*time.Second
		case c.bareWaits:
			bubble, patience = false, 2*time.Second
		}
		err := try(t, c, start, over, bubble, patience)
		switch {
		case c.bare == fails && err == nil:
			t.Error("the bare library passes, so the case shows nothing of its rows")
		case c.bare == passes && err != nil:
			t.Errorf("the bare library fails where no row says so: %v", err)
		case err != nil:
			t.Logf("as the rows say: %v", err)
		}
	})
}
