//go:build linux

package rungs

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

func TestEventsBecomeLines(t *testing.T) {
	const events = `{"Action":"run","Package":"github.com/tacet-hub/tacet/drivers/audio","Test":"TestPulse"}
{"Action":"pass","Package":"github.com/tacet-hub/tacet/drivers/audio","Test":"TestPulse","Elapsed":1.5}
{"Action":"output","Package":"github.com/tacet-hub/tacet/drivers/audio","Test":"TestPulseGone","Output":"no pulseaudio\n"}
{"Action":"skip","Package":"github.com/tacet-hub/tacet/drivers/audio","Test":"TestPulseGone","Elapsed":0}
{"Action":"pass","Package":"github.com/tacet-hub/tacet/drivers/audio","Elapsed":1.6}
{"Action":"skip","Package":"github.com/tacet-hub/tacet/drivers"}
{"Action":"output","Package":"github.com/tacet-hub/tacet/firmware","Test":"TestPlay","Output":"silent\n"}
{"Action":"fail","Package":"github.com/tacet-hub/tacet/firmware","Test":"TestPlay","Elapsed":0.1}
{"Action":"fail","Package":"github.com/tacet-hub/tacet/firmware","Elapsed":0.2}`
	for _, c := range []struct {
		name string
		each bool
		want string
	}{
		{"packages", false, `HW FAIL audio.TestPulseGone it was skipped: no pulseaudio
HW ok drivers/audio 1 tests, 1.6 s
HW FAIL firmware 0.2 s: silent
RESULT fails=2
`},
		{"tests", true, `HW ok audio.TestPulse 1.5 s
HW FAIL audio.TestPulseGone it was skipped: no pulseaudio
HW FAIL firmware.TestPlay 0.1 s: silent
HW FAIL firmware 0.2 s:
RESULT fails=3
`},
	} {
		var out strings.Builder
		sheet := proof.New(&out, nil)
		run := tests{each: c.each, count: map[string]int{}, said: map[string][]string{}}
		for line := range strings.Lines(events) {
			var e event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			run.take(e, sheet)
		}
		if sheet.Close(); out.String() != c.want {
			t.Errorf("%s: it says\n%s\nwant\n%s", c.name, &out, c.want)
		}
	}
}
