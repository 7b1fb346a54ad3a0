package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
)

// proof is what the hub's tool says of an area, and its exit code.
func (h *hub) proof(args ...string) (v proof.Verdict, code int) {
	h.t.Helper()
	out, errs, code := h.tacet(append([]string{"area", "proof", "north", "--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		h.t.Fatalf("%v: %s%s", err, out, errs)
	}
	return v, code
}

// measured fits a verdict that has so many plays, each measured.
func measured(plays uint64) func(proof.Verdict) bool {
	return func(v proof.Verdict) bool { return v.Plays >= plays && v.Measured >= plays }
}

// TestProof: what sounded is measured by the devices and judged by the hub; an
// intruder is found, and so is a record that was changed.
func TestProof(t *testing.T) {
	t.Parallel()
	h := start(t)
	w := h.watch()
	h.gate("gate-1", "north", "1")
	h.gate("gate-2", "north", "2")
	for _, to := range []string{"1", "2", "1", "2"} {
		if o := w.ended(h.announce(`{"to":{"location":"` + to + `"},"message":"Go"}`)); o.State != area.OrderPlayed {
			t.Fatal(story(o))
		}
	}
	h.proofAt("after four plays", measured(4))
	v, code := h.proof("--url", h.ready.HTTP)
	if code != 0 || !v.OneVoice || v.Plays != 4 || v.Measured != 4 || v.Unmeasured != 0 || v.Conflicts != 0 || len(v.Chain) != 64 {
		t.Fatalf("exit %d, %+v", code, v)
	}
	same(t, "findings of the day", h.metric("tacet_proof_overlaps")+h.metric("tacet_proof_intruders"), 0)

	// A device that only sets busy sounds in the middle of a play.
	id := h.announce(`{"to":{"location":"1"},"message":"` + longText + `"}`)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
	mark := w.told.mark()
	h.publish("tacet/area/north/busy/set/barker", "1")
	w.busy(mark, "north", func(b area.Busy) bool { return len(b.Intruders) == 1 })
	h.publish("tacet/area/north/busy/set/barker", "0")
	w.ended(id)
	h.proofAt("after the intruder", measured(5))
	v, code = h.proof("--url", h.ready.HTTP)
	if code != 1 || v.OneVoice || v.Intruders != 1 || len(v.Findings) != 1 || v.Findings[0].Device != "barker" {
		t.Fatalf("exit %d, %+v", code, v)
	}
	out, _, _ := h.tacet("area", "proof", "north", "--url", h.ready.HTTP)
	if !strings.HasPrefix(out, "north: NOT ONE VOICE") || !strings.Contains(out, "barker") {
		t.Error(out)
	}

	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(h.data, "proof", "north", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	content, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if v, code = h.proof("--offline", "--data", h.data); code != 1 || v.Broken != "" || v.Intruders != 1 {
		t.Errorf("the files alone: exit %d, %+v", code, v)
	}
	if err := os.WriteFile(files[0], bytes.Replace(content, []byte("barker"), []byte("nobody"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if v, code = h.proof("--offline", "--data", h.data); code != 1 || v.Broken == "" {
		t.Errorf("a changed record: exit %d, %+v", code, v)
	}
}

// TestProofOutlivesKills: a hub that is killed in the middle of a play loses
// nothing of what was written, and a play that ends while no hub is there is
// measured all the same.
func TestProofOutlivesKills(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	h, first, web, mqtt := startBehindDoors(t, data)
	w := h.watch()
	h.gate("gate-1", "north", "1")
	if o := w.ended(h.announce(`{"to":{"location":"1"},"message":"Go"}`)); o.State != area.OrderPlayed {
		t.Fatal(story(o))
	}
	id := h.announce(`{"to":{"location":"1"},"message":"Boarding now"}`)
	w.order(id, func(o area.Order) bool { return o.State == area.OrderPlaying })
	first.signal(syscall.SIGKILL)
	first.wait()

	second := startProcess(t, data)
	web.lead(t, second.ready.HTTP)
	mqtt.lead(t, second.ready.MQTT)
	h = second.through(web, mqtt)
	w = h.watch()
	if o := w.ended(h.announce(`{"to":{"location":"1"},"message":"Go"}`)); o.State != area.OrderPlayed {
		t.Fatal(story(o))
	}
	h.proofAt("after the kill", measured(3))
	v, code := h.proof("--url", h.ready.HTTP)
	if code != 0 || v.Broken != "" || v.Gaps != 1 || v.GapMs <= 0 || v.Plays < 3 || v.Measured < 3 {
		t.Errorf("exit %d, %+v", code, v)
	}
}
