package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/audio/audiotest"
	"github.com/tacet-hub/tacet/drivers/media"
)

// speaker is a tacet-device that is not simulated: it plays through a sound
// server.
func (h *hub) speaker(id, in, at string) *program {
	h.t.Helper()
	return h.speakerBy(id, in, at, "output: pulse")
}

// speakerBy is a tacet-device that is not simulated, with these lines of audio.
func (h *hub) speakerBy(id, in, at, by string) *program {
	h.t.Helper()
	dir := h.t.TempDir()
	file := filepath.Join(dir, "device.yaml")
	text := fmt.Sprintf("device: %s\narea: %s\nlocation: %q\nhub: [%q]\ndata: %s\naudio: {%s, volume: 100}\n",
		id, in, at, "mqtt://127.0.0.1:"+port(h.t, h.ready.MQTT), filepath.Join(dir, "data"), by)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	p := run(h.t, tacetDevice(h.t), "run", "--config", file)
	p.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device="+id+" hub=mqtt://") })
	return p
}

// window is how finely a recording is searched for two tones at once.
const window = audiotest.Rate / 50

// tones tells for how long each of two tones sounds in a recording, and for how
// long both do. At the seam of two sounds one window may have the end of the one
// and the beginning of the other.
func tones(s []int16, a, b float64) (onlyA, onlyB, both time.Duration) {
	const long = time.Second * window / audiotest.Rate
	seam := 0
	for ; len(s) >= window; s = s[window:] {
		isA := audiotest.Amplitude(s[:window], a, audiotest.Rate) > 500
		isB := audiotest.Amplitude(s[:window], b, audiotest.Rate) > 500
		switch {
		case isA && isB:
			if seam++; seam > 1 {
				both += long
			}
			continue
		case isA:
			onlyA += long
		case isB:
			onlyB += long
		}
		seam = 0
	}
	return onlyA, onlyB, both
}

// TestRung2TwoDevicesOnOneLoudspeaker: two real devices of one area play tones of
// their own through one sound server, as fast as they are asked to. What comes
// out is never both at once, and each tone is right.
func TestRung2TwoDevicesOnOneLoudspeaker(t *testing.T) {
	pulse := audiotest.Pulse(t)
	h := start(t)
	w := h.watch()
	h.speaker("gate-1", "north", "1")
	h.speaker("gate-2", "north", "2")
	hz := []float64{440, 660}
	const length, rounds = 500 * time.Millisecond, 4
	var clips []clip
	for _, f := range hz {
		clips = append(clips, h.upload(media.EncodeWAV(media.Tone(f, length))))
	}
	r := pulse.Record(t, "speaker")
	var ids []area.WorkID
	for i := range 2 * rounds {
		ids = append(ids, h.announce(fmt.Sprintf(`{"to":{"location":"%d"},"clip":"sha256:%s"}`, 1+i%2, clips[i%2].SHA256)))
	}
	for _, id := range ids {
		if o := w.ended(id); o.State != area.OrderPlayed || o.Attempt != 1 {
			t.Errorf("order %s ended %s: %s", id, o.State, story(o))
		}
	}
	const want = rounds * length
	r.Wait("whole tones", func(s []int16) bool { // it comes a little later than it sounds
		a, b, _ := tones(s, hz[0], hz[1])
		return min(a, b) >= want-rounds*40*time.Millisecond // a window at an end counts or does not
	})
	a, b, both := tones(r.Until(300*time.Millisecond), hz[0], hz[1])
	t.Logf("%v of %.0f Hz and %v of %.0f Hz were heard of %v each, both at once for %v", a, hz[0], b, hz[1], want, both)
	if both > 0 {
		t.Error("both tones sound at once")
	}
	same(t, "overlaps that the hub counted", h.metric("tacet_arbiter_conflicts")+h.metric("tacet_arbiter_intruders"), 0)
}

// TestRung2OrderToSound prints how long it takes from an order, whose clip the
// device has, to the sound in the recording, and from the grant.
func TestRung2OrderToSound(t *testing.T) {
	pulse := audiotest.Pulse(t)
	h := start(t)
	w := h.watch()
	h.speaker("gate-1", "north", "1")
	c := h.upload(media.EncodeWAV(media.Tone(587, 200*time.Millisecond)))
	order := `{"to":{"location":"1"},"clip":"sha256:` + c.SHA256 + `"}`
	w.ended(h.announce(order)) // it is in the cache now
	r := pulse.Record(t, "speaker")
	var fromOrder, fromGrant []time.Duration
	for range 10 {
		mark, from, asked := w.told.mark(), len(r.Samples()), time.Now()
		id := h.announce(order)
		w.busy(mark, "north", heldBy("gate-1"))
		granted := time.Now()
		if o := w.ended(id); o.State != area.OrderPlayed {
			t.Fatalf("order %s ended %s: %s", id, o.State, story(o))
		}
		at := r.Arrived(r.First(from))
		fromOrder, fromGrant = append(fromOrder, at.Sub(asked)), append(fromGrant, at.Sub(granted))
		r.Until(100 * time.Millisecond)
	}
	slices.Sort(fromOrder)
	slices.Sort(fromGrant)
	t.Logf("order to first sound: median %v, most %v; grant, as a browser sees it, to first sound: median %v, most %v; the server and the recording are in it",
		fromOrder[5].Round(time.Millisecond), fromOrder[9].Round(time.Millisecond), fromGrant[5].Round(time.Millisecond), fromGrant[9].Round(time.Millisecond))
}

// TestACardThatIsMissing: an order for a device whose card is missing ends at
// once with a reason; one for the place where it is goes to a neighbour, and those of
// the neighbours and of the area go on.
func TestACardThatIsMissing(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.speakerBy("gate-1", "north", "1", "output: alsa, card: Nosuch")
	h.gate("gate-2", "north", "2")
	bad := h.announce(`{"to":{"device":"gate-1"},"message":"one two three"}`)
	good := []area.WorkID{h.announce(`{"to":{"location":"1"},"message":"one"}`)}
	for range 3 {
		good = append(good, h.announce(`{"to":{"location":"2"},"message":"one"}`), h.announce(`{"to":{"area":"north"},"message":"one"}`))
	}
	if o := w.ended(bad); o.State != area.OrderFailed || o.Reason == nil || *o.Reason != area.EndDeviceError {
		t.Errorf("the order of the device without a card ended %s", story(o))
	}
	for _, id := range good {
		if o := w.ended(id); o.State != area.OrderPlayed || *o.Device != "gate-2" {
			t.Errorf("an order of its neighbour ended %s", story(o))
		}
	}
	said := h.subscribe("-v", "-t", "tacet/device/gate-1/status")
	said.message(0, "tacet/device/gate-1/status", func(payload string) bool {
		s, err := area.ParseStatus([]byte(payload))
		return err == nil && s.Audio == "none" && s.Health != nil && strings.Contains(s.Health.Faults["audio"], "alsa: ")
	})
}
