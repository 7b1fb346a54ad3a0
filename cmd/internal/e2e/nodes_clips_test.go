package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("not within the time: %s", what)
		}
	}
}

// TestClipsOfTwoNodes: whichever of two nodes is sent a sound file, and whichever
// accepts the order, the device of either plays it; so with texts that the accepting
// node speaks. A clip is listed, shown and removed at both.
func TestClipsOfTwoNodes(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	nodes := []*serve{l.node("hub-1", t.TempDir(), "speech: {engine: tone}"), l.node("hub-2", t.TempDir(), "speech: {engine: tone}")}
	gates := []*gate{nodes[0].gateWith("gate-1", "north", ""), nodes[1].gateWith("gate-2", "north", "")}
	for _, g := range gates {
		for _, n := range nodes {
			eventually(t, g.id+" is live at "+n.ready.Node, func() bool {
				var d area.Device
				a := n.call("GET", "/devices/"+g.id, nil)
				return a.status == http.StatusOK && json.Unmarshal(a.body, &d) == nil && d.Presence == area.Online
			})
		}
	}
	for i, g := range gates {
		there, here := nodes[1-i], nodes[i]
		sound := sweep(time.Duration(1200+100*i) * time.Millisecond)
		c := there.upload(media.EncodeWAV(sound)) // at the other node than the device's
		for _, n := range nodes {                 // and ordered at either, at once
			id := n.announce(`{"to":{"device":"` + g.id + `"},"clip":"sha256:` + c.SHA256 + `","volume":100}`)
			if o := n.endedAs(id); o.State != area.OrderPlayed {
				t.Errorf("clip of %s ordered at %s for %s: %s", there.ready.Node, n.ready.Node, g.id, story(o))
			}
			g.heard(id, sound)
		}
		id := there.announce(`{"to":{"device":"` + g.id + `"},"message":"` + strings.Repeat("Gate closes. ", 1+i) + `","volume":100}`) // tones are as long as the text
		o := there.endedAs(id)
		if o.State != area.OrderPlayed {
			t.Errorf("text ordered at %s for %s: %s", there.ready.Node, g.id, story(o))
		}
		eventually(t, here.ready.Node+" has brought the clip and the spoken text from the other node", func() bool {
			return here.metric("tacet_clips_nodes_fetched") >= 2 // a device speaks itself where it waits long
		})
		for _, n := range nodes {
			var list struct{ Items []clip }
			eventually(t, "the clip is listed at "+n.ready.Node, func() bool {
				n.get("/clips", &list)
				for _, k := range list.Items {
					if k.SHA256 == c.SHA256 {
						return true
					}
				}
				return false
			})
		}
		here.call("DELETE", "/clips/"+c.SHA256, nil).want(t, http.StatusNoContent, nil)
		for _, n := range nodes {
			same(t, "a removed clip at "+n.ready.Node, n.call("GET", "/clips/"+c.SHA256, nil).status, http.StatusNotFound)
		}
	}
	oneVoice(t, nil, gates...)
}
