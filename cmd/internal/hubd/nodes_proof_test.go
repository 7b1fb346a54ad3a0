package hubd

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestTheProofOutlivesAllThatRecordedIt: two nodes are replaced one after the other, their
// disks with them; a third, which has met neither, tells all that they have recorded.
func TestTheProofOutlivesAllThatRecordedIt(t *testing.T) {
	s := startServer(t)
	sounds := func(r Ready, order string) {
		t.Helper()
		player(t, r.MQTT, "gate-1")
		write(t, "POST", r.HTTP+"/api/v1/orders", `{"id":"`+order+`","to":{"area":"north"},"message":"hello","expires":"600s"}`)
		until(t, r.HTTP+"/api/v1/orders/"+order, func(b string) bool { return strings.Contains(b, `"state":"played","reason"`) })
	}
	data := []string{t.TempDir(), t.TempDir(), t.TempDir()}
	h1, r1, stop1 := started(t, s.node("hub-1", data[0]))
	idleAt(t, r1)
	sounds(r1, "o-1")
	granted := plays(t, r1, 1)
	h2, r2, stop2 := started(t, s.node("hub-2", data[1]))
	acquainted(t, h1, h2)
	gone := func(h *Hub, dir string, stop func() error) {
		t.Helper()
		poll(t, "all is at the server", func() bool { st := h.proof.Stats(); return st.Mirrored > st.Records })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	gone(h1, data[0], stop1)
	idleAt(t, r2)
	sounds(r2, "o-2")
	granted = plays(t, r2, granted+1)
	gone(h2, data[1], stop2)
	knows := func(r Ready) {
		t.Helper()
		until(t, r.HTTP+"/api/v1/areas/north/proof", func(b string) bool {
			var v proof.Verdict
			if err := json.Unmarshal([]byte(b), &v); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
			return v.OneVoice && v.Plays == granted && v.Broken == "" && len(v.Nodes) == 3 && v.Missing == 0
		})
	}
	_, r3, stop3 := started(t, s.node("hub-3", data[2]))
	knows(r3)
	if _, body := get(t, r3.Admin+"/metrics"); !strings.Contains(body, "tacet_proof_mirrored ") {
		t.Error("the numbers are no metrics")
	}
	if err := stop3(); err != nil {
		t.Fatal(err)
	}
	_, alone, _ := started(t, func(c *conf.Config) { c.Data = data[2] })
	knows(alone)
}

// plays waits until the record of north has what so many orders need, and answers how many
// plays that are: a grant that comes too late for its lease is given again.
func plays(t *testing.T, r Ready, orders uint64) (granted uint64) {
	t.Helper()
	until(t, r.HTTP+"/api/v1/areas/north/proof", func(b string) bool {
		var v proof.Verdict
		if err := json.Unmarshal([]byte(b), &v); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		granted = v.Plays
		return v.Plays >= orders && v.Overlaps == 0
	})
	return granted
}
