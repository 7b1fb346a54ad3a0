package arbiter

import (
	"errors"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// accepted is what a leader says of an order that was handed in with it.
func accepted(n uint64, w area.WorkID, state area.OrderState, d area.DeviceID, att int) area.Trunk {
	m := reported(n, w, state, d, att, "")
	m.Op, m.Order = area.TrunkOrder, &area.Order{ID: w, Area: "north"}
	m.Handed = &area.Handed{Work: w, Att: att}
	if d != "" {
		m.Handed.Given = &area.Assignment{Device: d, MID: "m-" + string(d), Boot: 1}
	}
	return m
}

// An order that was handed in at a leader which then dies: in whose hands it is, is
// written down before the order service has it and before the leader is answered;
// who leads next has it of the hub, with who had it.
func TestOrderInTheHandsOfItsLeader(t *testing.T) {
	g := ledGlass(t)
	g.slow = true
	g.hear("gate-1", accepted(1, "o-1", area.OrderWaiting, "", 1), "")
	g.hear("gate-1", accepted(1, "o-1", area.OrderWaiting, "", 1), "") // said again meanwhile
	g.slow = false
	g.want(g.held[len(g.held)-1], "adopt(o-1,waiting) adopt(o-1,waiting)")
	g.want(adopted{receipt{"gate-1", 1}, "o-1", nil}, "gate-1<got(1)")
	g.want(handIn("o-1"), "") // the order service has it: it is there already
	g.hear("gate-1", accepted(2, "o-1", area.OrderAssigned, "gate-2", 1), "adopt(o-1,assigned)")
	g.want(adopted{receipt{"gate-1", 2}, "o-1", nil}, "gate-1<got(2)")

	// The hub starts again, and the leader never does.
	again := newGlass(t, string(g.disk))
	again.want(Begin{}, "leader(gate-1,80) busy(settling,80,1001)")
	again.want(handIn("o-1"), "")
	again.at(30*time.Second, "severed(gate-1) SILENT SPLIT severed(gate-1) takeover(80) core:Begin core:Inherit(4.25s,0)")
	again.hear("gate-3", leadAt(145), "LED WHOLE yield leader(gate-3,145) busy(settling,145,1002) gate-3<submit(o-1,1,gate-2/m-gate-2/1) gate-3<led(4250,0)")
	if h := again.m.works.by["o-1"].handed(again.now); !h.Maybe {
		t.Errorf("it may have sounded, and was handed over as %+v", h)
	}
}

// An order that ends while its leader is silent: he is told once he is back, and once.
func TestOrderThatEndsWithoutItsLeader(t *testing.T) {
	g := ledGlass(t)
	g.hear("gate-1", accepted(1, "o-1", area.OrderAssigned, "gate-2", 1), "adopt(o-1,assigned)")
	g.want(adopted{receipt{"gate-1", 1}, "o-1", nil}, "gate-1<got(1)")
	g.want(handIn("o-1"), "")
	g.at(3*time.Second, "severed(gate-1) SILENT")
	g.want(Heard{Device: "gate-2", Claim: area.Claim{Op: area.OpDone, Work: "o-1", Att: 1, Result: area.Played}}, "report(o-1,played,1)")
	g.want(Stored{Work: "o-1"}, "")
	g.hear("gate-1", leadAt(80), "BACK gate-1<led(1250,0) gate-1<stored(o-1)")
	g.hear("gate-1", leadAt(80), "gate-1<led(1250,0)")
}

// An order that the order service does not take stays its leader's alone.
func TestOrderThatIsNotAdopted(t *testing.T) {
	g := ledGlass(t)
	g.hear("gate-1", accepted(1, "o-1", area.OrderWaiting, "", 1), "adopt(o-1,waiting)")
	g.want(adopted{receipt{"gate-1", 1}, "o-1", errors.New("full")}, "")
	if g.m.works.by["o-1"] != nil {
		t.Error("the hub goes on with it all the same")
	}
	g.hear("gate-1", accepted(1, "o-1", area.OrderWaiting, "", 1), "adopt(o-1,waiting)") // he says it again
}
