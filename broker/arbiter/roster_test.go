package arbiter

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func testRoster(t *testing.T) *Roster {
	t.Helper()
	r, err := NewRoster(RosterConfig{Node: "hub-1", MaxSeen: 3, Areas: []AreaConfig{
		{ID: "north", Name: "North Wing", Volume: -1, Locations: []Place{{ID: "1", Name: "Gate 1"}, {ID: "2"}}},
		{ID: "south", Name: "South Wing", Volume: 40, Locations: []Place{{ID: "3"}}},
	}}, func() time.Time { return time.Unix(1_795_255_200, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func register(t *testing.T, r *Roster, d area.DeviceID, in, at, link string) {
	t.Helper()
	if _, _, err := r.Register(Player{Device: d, Area: in, Location: at, Via: area.ViaMQTT, Link: link}); err != nil {
		t.Fatalf("register %s: %v", d, err)
	}
}

func deviceAt(t *testing.T, r *Roster, in area.Name, at area.LocationID) area.DeviceID {
	t.Helper()
	a, _ := r.Area(in)
	for _, l := range a.Locations {
		if l.ID == at && l.Device != nil {
			return *l.Device
		}
	}
	return ""
}

func TestRosterRefusesAmbiguousAreas(t *testing.T) {
	cases := []struct {
		name  string
		areas []AreaConfig
		want  area.Code
	}{
		{"one id twice", []AreaConfig{{ID: "a"}, {ID: "a", Name: "B"}}, area.CodeExists},
		{"one name twice", []AreaConfig{{ID: "a", Name: "N"}, {ID: "b", Name: "N"}}, area.CodeExists},
		{"one location twice", []AreaConfig{{ID: "a", Locations: []Place{{ID: "1"}}}, {ID: "b", Locations: []Place{{ID: "1"}}}}, area.CodeLocationConflict},
		{"the hub's own", []AreaConfig{{ID: area.Unassigned}}, area.CodeInvalid},
		{"bad id", []AreaConfig{{ID: "a/b"}}, area.CodeInvalid},
		{"short lease", []AreaConfig{{ID: "a", Lease: time.Millisecond}}, area.CodeInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewRoster(RosterConfig{Areas: c.areas}, time.Now)
			if got := area.CodeOf(err); got != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestRosterResolvesNamesAndIDs(t *testing.T) {
	r := testRoster(t)
	register(t, r, "gate-1", "North Wing", "1", "mqtt/1")
	text := func(s string) *string { return &s }
	cases := []struct {
		name string
		to   area.To
		in   area.Name
		at   area.LocationID
		dev  area.DeviceID
		want area.Code
	}{
		{"area by id", area.To{Area: text("north")}, "north", "", "", ""},
		{"area by name", area.To{Area: text("North Wing")}, "north", "", "", ""},
		{"location by id", area.To{Location: text("3")}, "south", "3", "", ""},
		{"location by name", area.To{Location: text("Gate 1")}, "north", "1", "", ""},
		{"device", area.To{Device: text("gate-1")}, "north", "", "gate-1", ""},
		{"unknown area", area.To{Area: text("moon")}, "", "", "", area.CodeUnknownArea},
		{"unknown location", area.To{Location: text("99")}, "", "", "", area.CodeUnknownLocation},
		{"unknown device", area.To{Device: text("gate-9")}, "", "", "", area.CodeUnknownDevice},
		{"unassigned", area.To{Area: text("unassigned")}, "", "", "", area.CodeInvalid},
		{"two keys", area.To{Area: text("north"), Location: text("1")}, "", "", "", area.CodeInvalid},
		{"no key", area.To{}, "", "", "", area.CodeInvalid},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in, at, dev, err := r.Resolve(c.to)
			if in != c.in || at != c.at || dev != c.dev || area.CodeOf(err) != c.want {
				t.Errorf("got %q %q %q %v, want %q %q %q %q", in, at, dev, err, c.in, c.at, c.dev, c.want)
			}
		})
	}
}

func TestRosterMakesSeenAreas(t *testing.T) {
	r := testRoster(t)
	for text, want := range map[string]area.Name{"North Wing": "north", "pier/north": "pier-north", "Café 7": "caf-7", "west": "west"} {
		got, err := r.Seen(text)
		if err != nil || got != want {
			t.Errorf("seen %q: got %q %v, want %q", text, got, err, want)
		}
	}
	if a, _ := r.Area("pier-north"); a.Name != "pier/north" || a.Source != area.SourceSeen {
		t.Errorf("a seen area is %+v, want its text as name", a)
	}
	if _, err := r.Seen("one-too-many"); !errors.Is(err, &area.Error{Code: area.CodeRate}) {
		t.Errorf("over the bound: got %v, want rate", err)
	}
	if _, err := r.Seen("???"); area.CodeOf(err) != area.CodeInvalid {
		t.Errorf("text without an id: got %v, want invalid", err)
	}
}

func TestLaterRegistrationHasTheLocation(t *testing.T) {
	r := testRoster(t)
	register(t, r, "a", "north", "1", "mqtt/1")
	register(t, r, "b", "north", "1", "mqtt/2")
	if got := deviceAt(t, r, "north", "1"); got != "b" {
		t.Errorf("location 1 has %q, want b", got)
	}
	if d, _ := r.Player("a"); d.Area != "north" || d.Location != nil || d.Presence != area.Online {
		t.Errorf("the earlier device is %+v, want in the area, without location, online", d)
	}
	r.Lost("mqtt/2", area.PresentTimeout)
	if got := deviceAt(t, r, "north", "1"); got != "" {
		t.Errorf("location 1 has %q after its device went, want nobody", got)
	}
	if a, _ := r.Area("north"); len(a.Locations) != 2 {
		t.Errorf("locations are %v: one is gone with its device", a.Locations)
	}
}

func TestWhoIsOfflineIsShownWhereItWas(t *testing.T) {
	r := testRoster(t)
	register(t, r, "a", "north", "1", "mqtt/1")
	at := func() area.LocationID {
		if d, _ := r.Player("a"); d.Location != nil {
			return *d.Location
		}
		return ""
	}
	r.Lost("mqtt/1", area.PresentTimeout)
	if got, on := at(), deviceAt(t, r, "north", "1"); got != "1" || on != "" {
		t.Errorf("the lost device is shown at %q, and location 1 has %q; want 1 and nobody", got, on)
	}
	register(t, r, "b", "north", "1", "mqtt/2")
	if got := at(); got != "" {
		t.Errorf("the lost device is shown at %q, where another is now", got)
	}
	register(t, r, "a", "north", "", "mqtt/3")
	r.Lost("mqtt/2", area.PresentTimeout)
	if got := at(); got != "" {
		t.Errorf("the device that came back without a location is shown at %q", got)
	}
}

func TestLocationOfAnotherAreaIsRefused(t *testing.T) {
	r := testRoster(t)
	in, at, err := r.Register(Player{Device: "x", Area: "north", Location: "3", Via: area.ViaMQTT, Link: "mqtt/1"})
	if in != "north" || at != "" || area.CodeOf(err) != area.CodeLocationConflict {
		t.Errorf("got %q %q %v, want member of north without location, location_conflict", in, at, err)
	}
	if a, _ := r.Area("north"); !slices.Contains(a.Members, "x") {
		t.Errorf("members are %v, want x among them", a.Members)
	}
}

func TestPresenceFollowsTheNewestConnection(t *testing.T) {
	r := testRoster(t)
	var told []Presence
	r.joined = func(p Presence) { told = append(told, p) }
	up := func(boot, conn uint64, link string) {
		t.Helper()
		if _, _, err := r.Register(Player{Device: "g", Area: "north", Via: area.ViaMQTT, Link: link, Boot: boot, Conn: conn}); err != nil {
			t.Fatal(err)
		}
	}
	up(4, 1, "mqtt/1")
	up(4, 2, "mqtt/2")
	r.Left("g", "", 4, 1, area.PresentWill) // the Will of the connection that was taken over
	if d, _ := r.Player("g"); d.Presence != area.Online {
		t.Fatalf("an old Will made the device %s", d.Presence)
	}
	r.Lost("mqtt/1", area.PresentWill)
	if d, _ := r.Player("g"); d.Presence != area.Online {
		t.Fatalf("the end of an old connection made the device %s", d.Presence)
	}
	r.Left("g", "", 4, 2, area.PresentWill)
	d, _ := r.Player("g")
	if d.Presence != area.Offline || d.Reason == nil || *d.Reason != area.PresentWill {
		t.Fatalf("after its Will the device is %s, %v", d.Presence, d.Reason)
	}
	if d.State != nil {
		t.Errorf("a device that is gone is %s", *d.State)
	}
	if last := told[len(told)-1]; last.Live || last.Area != "north" {
		t.Errorf("the arbiter was told %+v last, want gone from north", last)
	}
}

func TestMovingTellsBothAreas(t *testing.T) {
	r := testRoster(t)
	var told []Presence
	r.joined = func(p Presence) { told = append(told, p) }
	register(t, r, "g", "north", "1", "mqtt/1")
	register(t, r, "g", "south", "", "mqtt/1")
	if len(told) != 3 || told[1].Area != "north" || told[1].Live || told[2].Area != "south" || !told[2].Live {
		t.Errorf("told %+v, want up in north, gone from north, up in south", told)
	}
	if got := deviceAt(t, r, "north", "1"); got != "" {
		t.Errorf("location 1 still has %q", got)
	}
}

func TestIDsCountAsPeopleDo(t *testing.T) {
	list := []string{"gate-10", "gate-2", "10", "2", "a", "gate-02"}
	slices.SortFunc(list, compareIDs)
	want := []string{"2", "10", "a", "gate-2", "gate-02", "gate-10"}
	if !slices.Equal(list, want) {
		t.Errorf("got %v, want %v", list, want)
	}
}

func TestWatchersAreTold(t *testing.T) {
	r := testRoster(t)
	n := 0
	cancel := r.Watch(func() { n++ })
	register(t, r, "g", "north", "1", "mqtt/1")
	if n == 0 {
		t.Error("a registration told nobody")
	}
	cancel()
	before := n
	r.Lost("mqtt/1", area.PresentWill)
	if n != before {
		t.Error("told after cancel")
	}
}

func TestConfigureAgain(t *testing.T) {
	r := testRoster(t)
	register(t, r, "g", "north", "1", "mqtt/1")
	err := r.Configure([]AreaConfig{
		{ID: "north", Name: "North Pier", Volume: 20, Lease: 4 * time.Second, Locations: []Place{{ID: "1", Name: "Gate One"}, {ID: "9"}}},
		{ID: "west", Name: "West", Volume: -1},
		{ID: "south", Name: "South Wing", Volume: -1, Locations: []Place{{ID: "1"}}},
	})
	if !errors.Is(err, &area.Error{Code: area.CodeLocationConflict}) {
		t.Errorf("got %v, want the location conflict of south", err)
	}
	a, _ := r.Area("north")
	if a.Name != "North Pier" || a.Volume != 20 || a.LeaseMs != 4000 || len(a.Locations) != 3 || a.Locations[0].Name != "Gate One" {
		t.Errorf("north is %+v", a)
	}
	if got := deviceAt(t, r, "north", "1"); got != "g" {
		t.Errorf("location 1 has %q, want g still", got)
	}
	if _, ok := r.Area("west"); !ok {
		t.Error("west was not made")
	}
	if a, _ := r.Area("south"); a.Volume != 40 {
		t.Errorf("south with a fault is %+v, want it as it was", a)
	}
}

func TestUpdate(t *testing.T) {
	r := testRoster(t)
	if err := r.Create(AreaConfig{ID: "west", Source: area.SourceAPI, Volume: -1, Locations: []Place{{ID: "w1"}, {ID: "w2"}}}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Register(Player{Device: "gate-9", Area: "west", Location: "w2", Via: area.ViaMQTT, Link: "mqtt/9"}); err != nil {
		t.Fatal(err)
	}
	if err := r.Update(AreaConfig{ID: "west", Name: "West Wing", Lease: 2 * time.Second, Volume: 5, Locations: []Place{{ID: "w1", Name: "Gate W1"}, {ID: "w3"}}}); err != nil {
		t.Fatal(err)
	}
	a, _ := r.Area("west")
	if a.Name != "West Wing" || a.Volume != 5 || a.LeaseMs != 2000 || a.Source != area.SourceAPI || len(a.Locations) != 2 || a.Locations[0].Name != "Gate W1" || a.Locations[1].ID != "w3" {
		t.Errorf("%+v", a)
	}
	if p, _ := r.Player("gate-9"); p.Location != nil || p.Area != "west" {
		t.Errorf("who was at the removed location: %+v", p)
	}
	north, _ := r.Settings("north")
	for want, change := range map[area.Code]func(*AreaConfig){
		area.CodeNotFound:         func(c *AreaConfig) { c.ID = "moon" },
		area.CodeConfigured:       func(c *AreaConfig) { c.Name = "Other" },
		area.CodeExists:           func(c *AreaConfig) { c.Name = "West Wing" },
		area.CodeLocationConflict: func(c *AreaConfig) { c.Locations = append(slices.Clone(c.Locations), Place{ID: "w1"}) },
		area.CodeInvalid:          func(c *AreaConfig) { c.Lease = time.Hour },
	} {
		c := north
		change(&c)
		if err := r.Update(c); area.CodeOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	without := north
	without.Locations = nil
	if err := r.Update(without); area.CodeOf(err) != area.CodeConfigured {
		t.Errorf("a location of the file is removed: %v", err)
	}
	north.Volume, north.Locations = 9, append(slices.Clone(north.Locations), Place{ID: "n9"})
	if err := r.Update(north); err != nil {
		t.Fatal(err)
	}
	if a, _ := r.Area("north"); a.Volume != 9 || a.Source != area.SourceConfig {
		t.Errorf("%+v", a)
	}
}

func TestTheOlderConnectionComesBack(t *testing.T) {
	r := testRoster(t)
	mqtt := Player{Device: "g", Area: "north", Location: "1", Via: area.ViaMQTT, Link: "mqtt/1", Client: "g", Boot: 3, Conn: 1}
	register := func(p Player) {
		t.Helper()
		if _, _, err := r.Register(p); err != nil {
			t.Fatal(err)
		}
	}
	register(mqtt)
	var told []Presence
	r.joined = func(p Presence) { told = append(told, p) }
	register(Player{Device: "g", Area: "north", Location: "1", Via: area.ViaClassic, Link: "hub/x"})
	if len(told) != 1 || told[0].Over != "mqtt/1" {
		t.Fatalf("told %+v, want the takeover", told)
	}
	r.Lost("hub/x", area.PresentGoodbye)
	if d, _ := r.Player("g"); d.Presence != area.Online || d.Via != area.ViaMQTT || d.Location == nil {
		t.Errorf("after the second program ended the device is %+v", d)
	}
	register(Player{Device: "g", Area: "north", Location: "1", Via: area.ViaClassic, Link: "hub/y"})
	r.Lost("mqtt/1", area.PresentWill)
	r.Lost("hub/y", area.PresentGoodbye)
	if d, _ := r.Player("g"); d.Presence != area.Offline {
		t.Errorf("with both gone the device is %s", d.Presence)
	}
}

func TestARosterOfOneAreaMakesNoOther(t *testing.T) {
	r, err := NewRoster(RosterConfig{Node: "gate-1", MaxSeen: -1, Areas: []AreaConfig{{ID: "north", Name: "North Wing"}}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if name, err := r.Seen("North Wing"); err != nil || name != "north" {
		t.Errorf("%q, %v", name, err)
	}
	if _, err := r.Seen("south"); area.CodeOf(err) != area.CodeRate {
		t.Errorf("another area: %v", err)
	}
}
