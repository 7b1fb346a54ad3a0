package arbiter

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestRemarks: of which device an operator is told, and what. A hold that is past its
// time says nothing of sound: its device may be dead for long, with the node it had.
func TestRemarks(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(d *stand)
		want []Remark
		line string
	}{
		{"a lease ends, and its device plays on", func(d *stand) {
			d.step(Heard{Device: "a", Claim: d.claim("a", want)})
			d.step(Heard{Device: "a", Claim: d.claim("a", playing(1000001))})
			d.now += 5 * sec
			d.step(Heard{Device: "a", Claim: d.claim("a", playing(1000001))})
		}, []Remark{{"a", Unheard}, {"a", Unentitled}}, "a device sounds without a right"},
		{"a dumb device sounds beside the holder", func(d *stand) {
			d.step(Heard{Device: "a", Claim: d.claim("a", want)})
			d.step(Set{Device: "x", On: true})
		}, []Remark{{"x", Unentitled}}, "a device sounds without a right"},
		{"a classic client is lost while it holds", func(d *stand) {
			d.step(Heard{Device: "k", Claim: d.claim("k", area.Claim{Dur: 8 * time.Second}), Hold: true})
			d.step(DeviceDown{Device: "k"})
			d.now += 15 * sec
			d.step(Tick{})
		}, []Remark{{"k", Overdue}}, "a device is past its time, and may sound still"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := idle(t)
			c.does(d)
			if !slices.Equal(d.remarks, c.want) {
				t.Fatalf("told %v, want %v", d.remarks, c.want)
			}
			var log bytes.Buffer
			last := d.remarks[len(d.remarks)-1]
			(&Service{log: slog.New(slog.NewTextHandler(&log, nil))}).remark(last, "north")
			if want := `msg="` + c.line + `" area=north device=` + string(last.Device); !strings.Contains(log.String(), want) {
				t.Errorf("logged %s, want %s", log.String(), want)
			}
		})
	}
}
