package arbiter

import (
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestNameOfTheLivingMachine: m2 has taken the name of m1, which lives as well.
// What the hub knows of connections decides when m1 has it again.
func TestNameOfTheLivingMachine(t *testing.T) {
	hello := func(mid, nonce string) area.Claim {
		return area.Claim{Op: area.OpHello, Nonce: nonce, MID: mid, Boot: 5}
	}
	const refused = "a<refused(replaced)"
	for _, c := range []struct {
		name string
		then func(d *stand)
		told int // that both live: once an hour
	}{
		{"m2 said goodbye", func(d *stand) {
			d.want(DeviceDown{Device: "a"}, "")
			d.now += 4 * sec
			d.want(DeviceUp{Device: "a", MID: "m1"}, "")
			d.hear("a", hello("m1", "3"), "a<hello(5)")
		}, 0},
		{"m1 took the connection of m2, which has ended since", func(d *stand) {
			d.want(DeviceDown{Device: "a"}, "")
			d.want(DeviceUp{Device: "a", MID: "m1"}, "")
			d.hear("a", hello("m1", "3"), refused)
			d.now += 5 * sec
			d.hear("a", hello("m1", "4"), "a<hello(5)")
		}, 1},
		{"each takes it from the other: m2 keeps the name", func(d *stand) {
			for i, n := range []string{"3", "4", "5", "6"} {
				d.now += 20 * sec
				d.want(DeviceUp{Device: "a", MID: "m1"}, "")
				d.hear("a", hello("m1", n), refused)
				d.now += area.Instant(400 * time.Millisecond)
				d.want(DeviceUp{Device: "a", MID: "m2"}, "")
				d.hear("a", area.Claim{Op: area.OpHello, Nonce: "m2-" + n, MID: "m2", Boot: 6, Seq: uint64(i) + 9}, "a<hello(6)")
			}
		}, 1},
		{"the connection of m2 stands, and it is silent", func(d *stand) {
			d.now += 59 * sec
			d.hear("a", hello("m1", "3"), refused)
			d.now += sec
			d.hear("a", hello("m1", "4"), "a<hello(5)")
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := idle(t)
			d.want(DeviceUp{Device: "a", MID: "m1"}, "")
			d.hear("a", hello("m1", "1"), "a<hello(5)")
			d.want(DeviceUp{Device: "a", MID: "m2"}, "")
			d.hear("a", hello("m2", "2"), "a<hello(6)")
			c.then(d)
			if got := slices.Repeat([]Remark{{"a", Contested}}, c.told); !slices.Equal(d.remarks, got) {
				t.Errorf("told %v, want %v", d.remarks, got)
			}
		})
	}
}

// TestNameGivenBackFreesNothing: what the machine sounds that has lost the name goes
// on to the end of its lease, whoever has the name then.
func TestNameGivenBackFreesNothing(t *testing.T) {
	d := idle(t)
	d.hear("a", area.Claim{Op: area.OpHello, Nonce: "1", MID: "m1", Boot: 5}, "a<hello(5)")
	d.hear("a", area.Claim{Op: area.OpHello, Nonce: "2", MID: "m2", Boot: 6}, "a<hello(6)")
	d.hear("a", area.Claim{MID: "m2", Boot: 6, Claim: 1, Seq: 3}, "busy(held:a) a<grant(1000001,2.5s)")
	d.hear("a", area.Claim{MID: "m2", Boot: 6, Claim: 1, Seq: 4, Playing: true, Token: 1000001}, "a<grant(1000001,4s)")
	d.want(DeviceDown{Device: "a"}, "")
	d.now += 3 * sec
	d.want(DeviceUp{Device: "a", MID: "m1"}, "")
	d.hear("a", area.Claim{Op: area.OpHello, Nonce: "3", MID: "m1", Boot: 5, Seq: 9}, "a<hello(7)")
	d.hear("a", area.Claim{MID: "m1", Boot: 7, Claim: 1, Seq: 1}, "a<queued(1) busy(held:a,a)")
	d.at(4250*time.Millisecond, "busy(held:a) a<grant(1000002,2.5s)")
}

// TestWillOfTheOtherMachine: what a machine leaves behind whose connection another has
// taken does not end that one's, whatever it counts.
func TestWillOfTheOtherMachine(t *testing.T) {
	r, err := NewRoster(RosterConfig{Node: "hub-1"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	at := func(link, mid string, boot uint64) string {
		if _, _, err := r.Register(Player{Device: "a", Area: "north", Link: link, MID: mid, Boot: boot, Conn: 1}); err != nil {
			t.Fatal(err)
		}
		return r.linkOf("a")
	}
	at("mqtt/1", "m2", 6)
	if link := at("mqtt/2", "m1", 5); link != "mqtt/2" {
		t.Errorf("live on %q after another machine has connected", link)
	}
	r.Left("a", "m2", 6, 1, area.PresentWill)
	if link := r.linkOf("a"); link != "mqtt/2" {
		t.Errorf("live on %q after the Will of the first", link)
	}
	r.Left("a", "m1", 5, 1, area.PresentWill)
	if link := r.linkOf("a"); link != "" {
		t.Errorf("live on %q after its own Will", link)
	}
}
