package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	wavRate   = 22_050
	wavHeader = 44
)

// gate is a tacet-device with simulated hardware that records what it plays.
type gate struct {
	*program
	id, wav string
}

// gate starts a device and returns when the hub has answered it.
func (h *hub) gate(id, in, at string) *gate {
	h.t.Helper()
	return h.gateOf(id, in, at, h.t.TempDir())
}

// gateOf is gate with a data directory that another process of the device's
// has used.
func (h *hub) gateOf(id, in, at, data string) *gate {
	h.t.Helper()
	g := &gate{id: id, wav: filepath.Join(h.t.TempDir(), id+".wav")}
	g.program = run(h.t, tacetDevice(h.t), "run", "--sim", "--device", id, "--area", in, "--location", at,
		"--hub", "mqtt://127.0.0.1:"+port(h.t, h.ready.MQTT), "--data", data, "--wav", g.wav)
	g.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device="+id+" hub=mqtt://") })
	return g
}

// playLine is a line of a recording's list.
type playLine struct {
	Event  string
	Work   *string
	Token  uint64
	UnixMs int64 `json:"unix_ms"`
	Sample int
}

// recording reads what a device has recorded so far. Of a process that was
// killed the last line or the last samples may be missing; what is there reads.
func (g *gate) recording() (samples []int16, list []playLine) {
	g.t.Helper()
	wav, err := os.ReadFile(g.wav)
	if err != nil {
		g.t.Fatal(err)
	}
	if len(wav) < wavHeader || string(wav[:4]) != "RIFF" || string(wav[8:12]) != "WAVE" || binary.LittleEndian.Uint32(wav[24:]) != wavRate {
		g.t.Fatalf("%s has no header of a recording", g.wav)
	}
	told := int(binary.LittleEndian.Uint32(wav[40:]))
	if told > len(wav)-wavHeader {
		g.t.Fatalf("%s: the header tells of %d bytes, %d are there", g.wav, told, len(wav)-wavHeader)
	}
	samples = make([]int16, told/2)
	if err := binary.Read(bytes.NewReader(wav[wavHeader:]), binary.LittleEndian, samples); err != nil {
		g.t.Fatal(err)
	}
	lines, err := os.ReadFile(g.wav + ".jsonl")
	if err != nil {
		g.t.Fatal(err)
	}
	for text := range strings.Lines(string(lines)) {
		if !strings.HasSuffix(text, "\n") { // the last one, which is being written
			break
		}
		var l playLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			g.t.Fatalf("%s.jsonl: %q: %v", g.wav, text, err)
		}
		list = append(list, l)
	}
	if len(list) == 0 || list[0].Event != "open" || list[0].UnixMs == 0 {
		g.t.Fatalf("%s.jsonl does not begin with open: %+v", g.wav, list)
	}
	return samples, list
}

// plays is when a device played by its list. A play that was cut off by the
// device's death lasts to the end of the recording.
func (g *gate) plays() (all []interval) {
	g.t.Helper()
	samples, list := g.recording()
	open := list[0].UnixMs
	for _, l := range list[1:] {
		if want := open + int64(l.Sample)*1000/wavRate; l.UnixMs < want-1 || l.UnixMs > want+1 {
			g.t.Errorf("%s: %s at sample %d says %d, which is %d", g.id, l.Event, l.Sample, l.UnixMs, want)
		}
		work := ""
		if l.Work != nil {
			work = *l.Work
		}
		switch l.Event {
		case "start":
			all = append(all, interval{who: g.id, work: work, start: l.UnixMs, end: open + int64(len(samples))*1000/wavRate})
		case "end":
			if n := len(all); n == 0 || all[n-1].work != work {
				g.t.Errorf("%s: the end of %s has no start", g.id, work)
			} else {
				all[n-1].end = l.UnixMs
			}
		}
	}
	return all
}

// sounds is when a device can be heard by its samples alone.
func (g *gate) sounds() (all []interval) {
	g.t.Helper()
	const (
		loud  = 30                 // of 32,768: silence has none of it
		pause = wavRate * 5 / 1000 // shorter than any between two plays
	)
	samples, list := g.recording()
	at := func(sample int) int64 { return list[0].UnixMs + int64(sample)*1000/wavRate }
	last := -2 * pause
	for i, s := range samples {
		if s < loud && s > -loud {
			continue
		}
		if i-last > pause {
			all = append(all, interval{who: g.id, start: at(i)})
		}
		last = i
		all[len(all)-1].end = at(i)
	}
	return all
}

// oneVoice fails the test where two were heard at once, by the lists of the
// devices, by the samples themselves, and by what others say of themselves.
func oneVoice(t testing.TB, others []interval, gates ...*gate) {
	t.Helper()
	listed, heard := slices.Clone(others), slices.Clone(others)
	for _, g := range gates {
		plays, sounds := g.plays(), g.sounds()
		if len(plays) > 0 && len(sounds) == 0 {
			t.Errorf("%s has played %d times and cannot be heard in its recording", g.id, len(plays))
		}
		for _, s := range sounds {
			if !slices.ContainsFunc(plays, func(p interval) bool { return p.start-1 <= s.start && s.end <= p.end+1 }) {
				t.Errorf("%s is heard at %+v, in no play of its list %s", g.id, s, brief(plays))
			}
		}
		listed, heard = append(listed, plays...), append(heard, sounds...)
	}
	apart(t, listed)
	apart(t, heard)
}

// String is for failures.
func (v interval) String() string {
	return fmt.Sprintf("%s %s %d to %d", v.who, v.work, v.start, v.end)
}
