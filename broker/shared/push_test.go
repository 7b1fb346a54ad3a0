package shared_test

import (
	"context"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/shared"
	"github.com/tacet-hub/tacet/broker/shared/sharedtest"
)

// deaf is a common copy that takes what a node brings, and lets it follow nothing.
// Meanwhile comes between what it does and what it answers.
type deaf struct {
	shared.Common
	meanwhile func()
}

func (*deaf) Mark(context.Context) (mark, epoch string, err error) { return "", "", shared.ErrAway }

func (d *deaf) Merge(ctx context.Context, list []shared.Entry) ([]shared.Entry, error) {
	newer, err := d.Common.Merge(ctx, list)
	d.meanwhile()
	return newer, err
}

// TestChangedWhileReplaced: what a node changes while it is being answered that its
// change before that was replaced is owed, and goes to the others.
func TestChangedWhileReplaced(t *testing.T) {
	clock, common := sharedtest.NewClock(), &shared.Memory{}
	way := &deaf{Common: common}
	a, b := sharedtest.Start(t, "a", common, clock.Now), sharedtest.Start(t, "b", common, clock.Now)
	a.Stop()
	a.Open(way)
	merged := 0
	way.meanwhile = func() {
		if merged++; merged == 1 {
			clock.Step(time.Second)
			a.Put("k", "of a, last")
		}
	}
	a.Put("k", "of a, first")
	clock.Step(time.Second)
	b.Put("k", "of b")
	sharedtest.Become(t, map[string]string{"k": "of b"}, b)
	a.Serve()
	sharedtest.Become(t, map[string]string{"k": "of a, last"}, a, b)
	if n := a.Stats().Conflicts; n != 0 {
		t.Errorf("%d conflicts are counted of what was replaced here first", n)
	}
}
