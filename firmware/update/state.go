package update

import (
	"slices"
	"time"
)

// Slot is where a program is.
type Slot string

// The slots. Packaged is the program that was installed with the system.
const (
	Packaged Slot = ""
	A        Slot = "a"
	B        Slot = "b"
)

// How much patience there is with a program.
const (
	MaxTries  = 3                // starts of a program on trial
	TrialTime = 90 * time.Second // in which it has to be healthy, after each
	MaxStarts = 10               // starts in a row of a confirmed program that do not last TrialTime
	maxFailed = 16               // builds that are remembered as failed; the oldest is forgotten
)

// State is what the slots are used for. It is a pure state machine: each method
// answers the state that follows, and is told everything that it has to know.
type State struct {
	V        int       `json:"v"`
	Current  Slot      `json:"current"`  // confirmed
	Previous Slot      `json:"previous"` // confirmed before it, and still whole
	Trial    Slot      `json:"trial"`    // Packaged: none is on trial
	Tries    int       `json:"tries"`    // starts of Trial
	Starts   int       `json:"starts"`   // starts of Current in a row that did not last
	A        Held      `json:"a"`
	B        Held      `json:"b"`
	Failed   []Failure `json:"failed"` // not tried again; the newest last
	Last     Outcome   `json:"last"`
}

// Held is what is in a slot.
type Held struct {
	Release  Release `json:"release"`
	Launcher string  `json:"launcher"` // version of the installed program when it was put there
	Order    string  `json:"order"`    // by which it came
	Audio    bool    `json:"audio"`    // audio was well then, so it has to be in the trial
}

// Failure is a build that is not tried again.
type Failure struct {
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	Reason  string `json:"reason"`
}

// Outcome is how the newest update went.
type Outcome struct {
	Version string `json:"version"`
	Order   string `json:"order"`
	Result  Phase  `json:"result"` // Confirmed or Failed; empty: there was none
	Reason  string `json:"reason"` // of Failed
}

// Manifest is that of the program in the slot; zero where there is none.
func (h Held) Manifest() Manifest {
	m, err := ParseManifest([]byte(h.Release.Manifest))
	if err != nil {
		return Manifest{}
	}
	return m
}

// In is what is in a slot; Packaged holds nothing.
func (s State) In(at Slot) Held {
	switch at {
	case A:
		return s.A
	case B:
		return s.B
	}
	return Held{}
}

func (s State) put(at Slot, h Held) State {
	switch at {
	case A:
		s.A = h
	case B:
		s.B = h
	}
	return s
}

// Inactive is the slot that an update goes into.
func (s State) Inactive() Slot {
	if s.Current == A {
		return B
	}
	return A
}

// Refuses tells why the build may not be tried; nil: it may.
func (s State) Refuses(m Manifest) error {
	switch {
	case s.Trial != Packaged:
		return ErrOnTrial
	case s.Current != Packaged && s.In(s.Current).Manifest().SHA256 == m.SHA256:
		return ErrCurrent
	case slices.ContainsFunc(s.Failed, func(f Failure) bool { return f.SHA256 == m.SHA256 }):
		return ErrFailed
	}
	return nil
}

// Clear says that the inactive slot is about to be written to.
func (s State) Clear() State {
	at := s.Inactive()
	if s.Previous == at {
		s.Previous = Packaged
	}
	return s.put(at, Held{})
}

// Staged puts a program that is whole in the inactive slot on trial.
func (s State) Staged(h Held) State {
	at := s.Inactive()
	s = s.put(at, h)
	s.Trial, s.Tries, s.Last = at, 0, Outcome{}
	return s
}

// Start is the start of the launcher of a version: it answers the slot to start.
// The start is counted: a program on trial must not be started unless the state
// that is answered was kept.
func (s State) Start(launcher string) (State, Slot) {
	s = s.superseded(launcher)
	if s.Trial != Packaged && s.Tries >= MaxTries {
		s = s.fail("it was started 3 times and was not healthy")
	}
	if s.Trial != Packaged {
		s.Tries++
		return s, s.Trial
	}
	if s.Current != Packaged && s.Starts >= MaxStarts {
		s = s.left("it was started 10 times in a row and did not stay up")
	}
	if s.Current != Packaged {
		s.Starts++
	}
	return s, s.Current
}

// superseded forgets the slots that are older than the installed program, where
// that is another one than when they were filled: a package that was upgraded
// is meant.
func (s State) superseded(launcher string) State {
	old := func(at Slot) bool {
		h := s.In(at)
		return at != Packaged && h.Launcher != launcher && Compare(h.Manifest().Version, launcher) < 0
	}
	if old(s.Trial) {
		s.Trial, s.Tries = Packaged, 0
	}
	if old(s.Previous) {
		s.Previous = Packaged
	}
	if old(s.Current) {
		s.Current, s.Previous, s.Starts = s.Previous, Packaged, 0
	}
	return s
}

// Broken says that a slot could not be started: its program is damaged, or
// cannot be executed. That says nothing about the build, which may come again.
func (s State) Broken(at Slot, reason string) State {
	switch at {
	case Packaged:
	case s.Trial:
		s.Last = s.outcome(at, Failed, reason)
		s.Trial, s.Tries = Packaged, 0
	case s.Current:
		s.Last = s.outcome(at, Failed, reason)
		s.Current, s.Previous, s.Starts = s.Previous, Packaged, 0
	case s.Previous:
		s.Previous = Packaged
	}
	return s
}

// Healthy confirms the program on trial.
func (s State) Healthy() State {
	if s.Trial == Packaged {
		return s
	}
	s.Last = s.outcome(s.Trial, Confirmed, "")
	s.Previous, s.Current = s.Current, s.Trial
	s.Trial, s.Tries, s.Starts = Packaged, 0, 0
	return s
}

// Sick says that the program on trial was not healthy in time.
func (s State) Sick(reason string) State { return s.fail(reason) }

// Lasted says that a confirmed program has stayed up for TrialTime, or was ended
// on purpose.
func (s State) Lasted() State {
	s.Starts = 0
	return s
}

// fail leaves the program on trial for good.
func (s State) fail(reason string) State {
	if s.Trial == Packaged {
		return s
	}
	s = s.bad(s.Trial, reason)
	s.Trial, s.Tries = Packaged, 0
	return s
}

// left leaves the confirmed program for good.
func (s State) left(reason string) State {
	s = s.bad(s.Current, reason)
	s.Current, s.Previous, s.Starts = s.Previous, Packaged, 0
	return s
}

func (s State) bad(at Slot, reason string) State {
	m := s.In(at).Manifest()
	s.Failed = append(slices.Clone(s.Failed), Failure{m.Version, m.SHA256, reason})
	if extra := len(s.Failed) - maxFailed; extra > 0 {
		s.Failed = s.Failed[extra:]
	}
	s.Last = s.outcome(at, Failed, reason)
	return s
}

func (s State) outcome(at Slot, result Phase, reason string) Outcome {
	h := s.In(at)
	return Outcome{Version: h.Manifest().Version, Order: h.Order, Result: result, Reason: reason}
}
