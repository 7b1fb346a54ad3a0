package player

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestSpread(t *testing.T) {
	var s spread
	if s.of(0.5) != 0 {
		t.Error("nothing has a median")
	}
	for i := range 100 {
		s = append(s, time.Duration(100-i)*time.Millisecond)
	}
	for part, want := range map[float64]float64{0.5: 51, 0.95: 96, 1: 100} {
		if got := s.of(part); got != want {
			t.Errorf("%v of it is below %v, want %v", part, got, want)
		}
	}
}

func TestPrint(t *testing.T) {
	figures := []Figure{
		{Name: "size", Value: 9.77, Unit: "MB", Most: 12, Beside: "nothing: 1.3 MB"},
		{Name: "time", Value: 51, Unit: "ms", Most: 50},
		{Name: "lost", Value: 1, Exact: true},
		{Name: "median", Value: 7},
	}
	var b strings.Builder
	if err := Print(&b, figures, false); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(b.String()) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	want := "FIGURE VALUE TARGET BESIDE|size 9.77 MB <= 12 MB ok nothing: 1.3 MB|time 51 ms <= 50 ms MISSED|lost 1 <= 0 MISSED|median 7"
	if got := strings.Join(lines, "|"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	b.Reset()
	if err := Print(&b, figures[:1], true); err != nil || b.String() != `{"name":"size","value":9.77,"unit":"MB","most":12,"beside":"nothing: 1.3 MB"}`+"\n" {
		t.Errorf("%v, %s", err, b.String())
	}
}

// What the loudspeaker notes is read on from where it was read before; a line
// that is not whole yet is left for later.
func TestNotes(t *testing.T) {
	n := &notes{file: filepath.Join(t.TempDir(), "x.jsonl")}
	write := func(text string) {
		t.Helper()
		f, err := os.OpenFile(n.file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.WriteString(text)
			_ = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(`{"event":"open","unix_ms":1}` + "\n" + `{"event":"start","work":"o-1","token":7,"unix_ms":1500,"sample":0}` + "\n" + `{"event":"sta`)
	if at, token, err := n.started("o-1"); err != nil || token != 7 || at.UnixMilli() != 1500 {
		t.Errorf("%v, %d, %v", at, token, err)
	}
	write(`rt","work":"o-2","token":8,"unix_ms":2500,"sample":9}` + "\n")
	if at, token, err := n.started("o-2"); err != nil || token != 8 || at.UnixMilli() != 2500 {
		t.Errorf("%v, %d, %v", at, token, err)
	}
	if _, _, err := n.started("o-3"); err == nil {
		t.Error("a work that was not played has started")
	}
}

func TestXruns(t *testing.T) {
	status := area.Status{Health: &area.Health{Xruns: 4}}
	if n, err := xrunsOf([]area.TopicValue{{Payload: status.Encode()}}); err != nil || n != 4 {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range [][]area.TopicValue{nil, {{Payload: []byte("{}")}}, {{Payload: []byte("x")}}} {
		if _, err := xrunsOf(bad); err == nil {
			t.Errorf("%+v has gaps", bad)
		}
	}
}
