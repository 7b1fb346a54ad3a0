package election

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// script is one line of a case: what happens, when, and what is to be done then.
type script struct {
	at   time.Duration
	ev   Event
	want string // actions, with spaces between
}

func text(actions []Action) string {
	var list []string
	for _, a := range actions {
		switch a := a.(type) {
		case Aim:
			list = append(list, strings.TrimSuffix(fmt.Sprintf("%v:%s", a.To, a.Member), ":"))
		case Lead:
			list = append(list, fmt.Sprintf("lead>%d", a.Above))
		case Rival:
			list = append(list, fmt.Sprintf("rival:%d", a.Term))
		case Stop:
			list = append(list, "stop")
		case Ask:
			list = append(list, "ask")
		}
	}
	return strings.Join(list, " ")
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func TestRules(t *testing.T) {
	direct, local := Roster{Topology: area.TopologyDirect, Member: true}, Roster{Topology: area.TopologyLocal, Member: true}
	alone := Seen{}
	see := func(m ...Member) Seen { return Seen{m} }
	// The device is b; a is before it by name, c after.
	a, c := Member{Device: "a"}, Member{Device: "c"}
	up := func(m Member) Member { m.Uplink = true; return m }
	leads := func(m Member, term uint64) Member { m.Term = term; return m }
	served := func(m Member) Member { m.Served = true; return up(m) }
	unfit := func(m Member) Member { m.Unfit = true; return m }

	cases := map[string][]script{
		"direct: nobody leads with an uplink": {{0, direct, ""}, {0, Uplink{true}, ""}, {ms(9000), Tick{}, ""}},
		"direct: the uplink is lost, a neighbour carries": {{0, direct, ""}, {0, Uplink{true}, ""}, {ms(5000), see(up(a)), ""},
			{ms(6000), Uplink{false}, "via:a"}, {ms(7000), Uplink{true}, "hub"}},
		"direct: the carrier goes, another carries": {{0, direct, ""}, {0, see(up(a)), "via:a"}, {ms(100), see(a, up(c)), "via:c"}, {ms(200), see(up(a), up(c)), ""}},
		"direct: nobody has an uplink, the first leads after start": {{0, direct, ""}, {0, see(c), ""}, {ms(2999), Tick{}, ""}, {ms(3000), Tick{}, "lead>0"},
			{ms(3100), Ready{17}, "leader:b"}},
		"direct: another is first":               {{0, direct, ""}, {0, see(a), ""}, {ms(9000), Tick{}, ""}, {ms(9500), see(leads(a, 16)), "leader:a"}},
		"direct: who cannot lead does not stand": {{0, direct, ""}, {0, Able{false}, ""}, {0, see(c), ""}, {ms(9000), Tick{}, ""}, {ms(9500), see(leads(c, 16)), "leader:c"}},
		"direct: who cannot lead, and then can":  {{0, Able{false}, ""}, {0, direct, ""}, {0, see(c), ""}, {ms(9000), Able{true}, ""}, {ms(10000), Tick{}, "lead>0"}},
		"direct: priority before name":           {{0, Roster{Topology: area.TopologyDirect, Member: true, Priority: -1}, ""}, {0, see(a), ""}, {ms(3000), Tick{}, "lead>0"}},
		"direct: the term is above all":          {{0, direct, ""}, {0, Heard{9}, ""}, {0, see(Member{Device: "c", Highest: 12}), ""}, {ms(3000), Tick{}, "lead>12"}},
		"direct: the own uplink is back": {{0, direct, ""}, {0, alone, ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(9000), Uplink{true}, "stop hub"}},
		"direct: somebody's uplink is back": {{0, direct, ""}, {0, see(c), ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(9000), see(up(c)), ""}, {ms(9999), Tick{}, ""}, {ms(10000), Tick{}, "stop via:c"}},
		"direct: an uplink seen for a moment": {{0, direct, ""}, {0, see(c), ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(9000), see(up(c)), ""}, {ms(9500), see(c), ""}, {ms(10000), Tick{}, ""}, {ms(10100), see(up(c)), ""}, {ms(11000), Tick{}, ""}},
		"direct: the hub has ended the reign": {{0, direct, ""}, {0, alone, ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(4000), Ended{HubLeads: true}, "hub"}, {ms(8999), Tick{}, ""}, {ms(9000), Tick{}, ""}, {ms(10000), Tick{}, "lead>17"}},
		"a false alarm":   {{0, direct, ""}, {0, see(leads(a, 16)), "leader:a"}, {ms(9000), alone, ""}, {ms(9900), see(leads(a, 16)), ""}, {ms(11000), Tick{}, ""}},
		"the leader dies": {{0, direct, ""}, {0, see(leads(a, 16)), "leader:a"}, {ms(9000), alone, ""}, {ms(9999), Tick{}, ""}, {ms(10000), Tick{}, "lead>16"}},
		"two leaders: the lower stops": {{0, local, ""}, {0, alone, ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(9000), see(leads(c, 18)), "stop leader:c"}},
		"two leaders: the higher settles, once": {{0, local, ""}, {0, alone, ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(9000), see(leads(a, 16)), "rival:16"}, {ms(9100), see(leads(a, 16)), ""}},
		"who has not begun leaves it to who has": {{0, local, ""}, {0, alone, ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3050), see(leads(c, 18)), "stop leader:c"}},
		"it cannot lead, another can": {{0, local, ""}, {0, see(c), ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ended{}, ""}, {ms(9000), Tick{}, ""},
			{ms(9000), see(leads(c, 18)), "leader:c"}},
		"who cannot lead is passed over": {{0, local, ""}, {0, see(unfit(a), c), ""}, {ms(3000), Tick{}, "lead>0"}},
		"no member any more":             {{0, local, ""}, {0, alone, ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"}, {ms(9000), Roster{}, "stop hub"}},
		"direct becomes local":           {{0, direct, ""}, {0, Uplink{true}, ""}, {0, see(leads(up(a), 16)), ""}, {ms(9000), local, "leader:a"}},
		"local becomes direct": {{0, local, ""}, {0, Uplink{false}, ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"}, {ms(8000), Uplink{true}, ""},
			{ms(9000), direct, "stop hub"}},

		"local: it stays when the hub comes and goes": {{0, local, ""}, {0, see(c), ""}, {ms(3000), Tick{}, "lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(5000), Uplink{true}, ""}, {ms(6000), Uplink{false}, ""}, {ms(7000), see(up(c)), ""}, {ms(9000), Tick{}, ""}},
		"local: an uplink before a name": {{0, local, ""}, {0, Uplink{true}, "ask"}, {0, see(a), ""}, {ms(10), Witness{}, ""}, {ms(3000), Witness{}, "ask lead>0"}},
		"local: the hub is asked first": {{0, local, ""}, {0, Uplink{true}, "ask"}, {ms(10), Witness{Live: true, Leader: "z", Term: 30}, ""},
			{ms(1000), Witness{Live: true, Leader: "z", Term: 30}, "ask"}, {ms(5000), Witness{Live: false, Term: 30}, "ask lead>30"}},
		"local: the leader in the witness was this device": {{0, local, ""}, {0, Uplink{true}, "ask"}, {ms(2900), Witness{Live: true, Leader: "b", Term: 17}, "ask"}, {ms(3000), Tick{}, "lead>17"}},
		"local: a hub that does not answer is passed over": {{0, local, ""}, {0, Uplink{true}, "ask"}, {ms(7999), Tick{}, "ask"}, {ms(8000), Tick{}, "lead>0"}},
		"local: who is served carries":                     {{0, local, ""}, {0, see(served(a)), ""}, {ms(1000), Tick{}, "via:a"}, {ms(9000), see(served(a), leads(c, 18)), "leader:c"}},
		"local: who is served shows that the hub serves":   {{0, local, ""}, {0, Uplink{true}, "ask"}, {0, see(served(a)), ""}, {ms(1000), Tick{}, ""}},
		"local: nobody can lead any more, the hub can": {{0, Able{false}, ""}, {0, local, ""}, {0, Uplink{true}, ""}, {0, see(leads(a, 16)), "leader:a"}, {ms(400), Linked{true}, ""},
			{ms(9000), see(unfit(c)), ""}, {ms(9999), Tick{}, ""}, {ms(10000), Tick{}, "hub"}},
		"local: the own reign ended, the hub serves": {{0, local, ""}, {0, Uplink{true}, "ask"}, {ms(10), Witness{}, ""}, {ms(3000), Witness{}, "ask lead>0"}, {ms(3100), Ready{17}, "leader:b"},
			{ms(5000), Ended{}, ""}, {ms(5999), Tick{}, ""}, {ms(6000), Tick{}, "hub"}, {ms(34999), Tick{}, ""}, {ms(35000), Tick{}, "ask"}},
		"local: the leader cannot be reached": {{0, local, ""}, {0, Uplink{true}, "ask"}, {0, see(leads(a, 16)), "leader:a"}, {ms(9999), Tick{}, ""},
			{ms(10000), Tick{}, ""}, {ms(10000), Tick{}, "hub"}, {ms(39000), Tick{}, ""}, {ms(40001), Tick{}, "leader:a"}},
		"local: a leader who is reached is not passed over": {{0, local, ""}, {0, Uplink{true}, "ask"}, {0, see(leads(a, 16)), "leader:a"}, {ms(400), Linked{true}, ""},
			{ms(20000), Tick{}, ""}, {ms(20001), Linked{false}, ""}, {ms(25000), Tick{}, ""}},
	}
	for name, lines := range cases {
		t.Run(name, func(t *testing.T) {
			e := New("b")
			for _, l := range lines {
				if got := text(e.Step(l.ev, area.Instant(l.at))); got != l.want {
					t.Fatalf("%v %T%+v: got %q, want %q", l.at, l.ev, l.ev, got, l.want)
				}
			}
		})
	}
}

// Members are spread over those who carry.
func TestCarriersAreSpread(t *testing.T) {
	carried := map[area.DeviceID]int{}
	for i := range 40 {
		e := New(area.DeviceID(fmt.Sprintf("gate-%d", i)))
		e.Step(Roster{Topology: area.TopologyDirect, Member: true}, 0)
		e.Step(Seen{[]Member{{Device: "x", Uplink: true}, {Device: "y", Uplink: true}, {Device: "z"}}}, 0)
		carried[e.Aim().Member]++
	}
	if carried["x"] < 10 || carried["y"] < 10 || carried["z"] != 0 {
		t.Errorf("carried %v, want both used, and z never", carried)
	}
}
