package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/history"
	"github.com/tacet-hub/tacet/broker/area"
)

func showCourses(list []Series, missing []string) string {
	s := ""
	for _, one := range list {
		s += fmt.Sprintf("%s %s", one.Device, one.Metric)
		for _, p := range one.Points {
			s += fmt.Sprintf(" %g", p.Value)
		}
		s += "; "
	}
	return s + fmt.Sprint("missing ", missing)
}

// TestCoursesOfAllNodes: a course is made of what each node has heard; a part that is
// missing is named, whether its node is gone, mute, or not to be reached.
func TestCoursesOfAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a", newDisk()), open(t, x, "b", newDisk())
		defer func() { a.stop() }()
		view := backplane.NewMux(x.Join("view", ""))
		Absent(view)
		ctx, end := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- view.Run(ctx) }()
		begin := time.Now()
		for i, n := range []*node{a, b, b} { // mean 2, of all three
			n.Put(value("hall", "north", "co2", float64(i+1)), "t", false)
			time.Sleep(2 * time.Second)
		}
		b.Put(value("attic", "pier", "co2", 7.0), "t", false)
		b.history.Add(history.Key{Device: "once", Metric: "co2"}, time.Now().UnixMilli(), 9.0) // and never again
		time.Sleep(2 * time.Second)
		ask := func(n *node, change func(*Course)) string {
			c := Course{From: begin, To: begin.Add(time.Hour), Step: time.Minute}
			if change != nil {
				change(&c)
			}
			return showCourses(n.Courses(t.Context(), c))
		}
		expect := func(when, want string, change func(*Course), all ...*node) {
			t.Helper()
			for _, n := range all {
				if got := ask(n, change); got != want {
					t.Errorf("%s: %s answers\n%s, want\n%s", when, n.cfg.Node, got, want)
				}
			}
		}
		north := func(c *Course) { c.Area = ptr(area.Name("north")) }
		expect("all", "attic co2 7; hall co2 2; once co2 9; missing []", nil, a, b)
		expect("steps", "attic co2; hall co2 1 2 3; missing []", func(c *Course) { c.Step, c.To = 2*time.Second, begin.Add(6*time.Second) }, a, b)
		expect("in an area", "hall co2 2; missing []", north, a, b)
		expect("a page", "hall co2 2; missing []", func(c *Course) { c.After, c.Most = KeyOf("attic", "co2", nil), 1 }, a, b)
		end()
		<-ended
		mute := backplane.NewMux(x.Join("mute", ""))
		stuck := make(chan struct{})
		mute.OnAsk(kindCourse, func(context.Context, string, []byte) ([]byte, error) { <-stuck; return nil, nil })
		ctx, end = context.WithCancel(t.Context())
		go func() { ended <- mute.Run(ctx) }()
		synctest.Wait()
		before := time.Now()
		expect("one does not answer", "hall co2 2; missing [mute]", north, a)
		if took := time.Since(before); took != courseTime {
			t.Errorf("that took %v", took)
		}
		end()
		close(stuck)
		<-ended
		b.stop()
		expect("b is gone", "hall co2 1; missing [b]", north, a)
		expect("nothing of it is asked for", "missing []", func(c *Course) { c.Device = ptr(area.DeviceID("none")) }, a)
		expect("since it is gone", "attic co2; hall co2; missing []", func(c *Course) { c.From = begin.Add(20 * time.Minute) }, a)
		if s := a.Stats(); s.Missing != 2 {
			t.Errorf("a counts %+v", s)
		}
	})
}

// TestCoursesOfManySeries: what does not go into one answer comes in several.
func TestCoursesOfManySeries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := new(backplane.Exchange)
		a, b := open(t, x, "a", newDisk()), open(t, x, "b", newDisk())
		defer func() { a.stop() }()
		defer func() { b.stop() }()
		const series, points = 30, 500 // three answers
		begin := time.Now().Add(-time.Hour)
		for s := range series {
			for p := range points {
				b.history.Add(history.Key{Device: area.DeviceID(fmt.Sprintf("s%02d", s)), Metric: "co2"}, begin.Add(time.Duration(p)*2*time.Second).UnixMilli(), float64(p))
			}
		}
		before := b.mux.Stats().Answered
		list, missing := a.Courses(t.Context(), Course{From: begin, To: begin.Add(time.Hour), Step: time.Second})
		n := 0
		for _, one := range list {
			n += len(one.Points)
		}
		if missing != nil || len(list) != series || n != series*points {
			t.Errorf("%d series of %d points, missing %q", len(list), n, missing)
		}
		if n := b.mux.Stats().Answered - before; n < 2 || n > 4 {
			t.Errorf("b was asked %d times", n)
		}
		if !slices.IsSortedFunc(list, func(p, q Series) int { return compareKeys(history.Key{Metric: p.Key()}, history.Key{Metric: q.Key()}) }) {
			t.Error("they are in no order")
		}
		if list, _ := a.Courses(t.Context(), Course{From: begin, To: begin.Add(time.Hour), Step: time.Second, Most: 20}); len(list) != 20 || list[19].Device != "s19" {
			t.Errorf("the first page has %d", len(list))
		}
		bad, err := json.Marshal(asked{FromMs: 0, ToMs: begin.UnixMilli(), StepMs: 1})
		if err == nil {
			_, err = b.courses(t.Context(), "a", bad)
		}
		if area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("too many points: %v", err)
		}
	})
}
