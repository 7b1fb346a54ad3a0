package arbiter

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestWhatTheLogSaysOfAStop: a device that stops gives back what it had not
// begun, which is no warning; what it had begun was cut short.
func TestWhatTheLogSaysOfAStop(t *testing.T) {
	for name, c := range map[string]struct {
		begun  bool
		result area.Result
		want   string
	}{
		"assigned": {false, area.Stopped, `level=INFO msg="order given back before it began, waits again"`},
		"gave way": {false, area.Preempted, `level=INFO msg="order given back before it began, waits again"`},
		"failed":   {false, area.Failed, `level=WARN msg="order cut short, waits again"`},
		"playing":  {true, area.Stopped, `level=WARN msg="order cut short, waits again"`},
	} {
		t.Run(name, func(t *testing.T) {
			d := idle(t).devices()
			d.work(nil, "offer(w1>,1) report(w1,offered,1)")
			d.hear("a", take, "a<assigned(w1,1) report(w1,assigned,1)")
			if c.begun {
				d.hear("a", wantFor(1), "busy(held:a) a<grant(1000001,2.5s)")
			}
			var out strings.Builder
			s := &Service{log: slog.New(slog.NewTextHandler(&out, nil))}
			for _, a := range d.c.Step(Heard{Device: "a", Claim: d.claim("a", doneWith(c.result, 1))}, d.now) {
				if r, ok := a.(Report); ok {
					s.tell(r)
				}
			}
			if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, c.want) || !strings.Contains(got, " device=a ") {
				t.Errorf("log %q, want %s, of device a", got, c.want)
			}
		})
	}
}
