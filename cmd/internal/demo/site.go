package demo

import (
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Site is the configuration of the simulated airport: three areas, eight gates, a
// schedule that keeps it talking, and mappings for its sensors.
func Site() conf.Config {
	c := conf.Default()
	c.Areas = []conf.Area{
		wing("north", "North Wing", 70, "1", "Gate 1", "2", "Gate 2"),
		wing("south", "South Wing", 64, "3", "Gate 3", "4", "Gate 4"),
		wing("pier", "Pier", 78, "p1", "Stand P1", "p2", "Stand P2", "p3", "Stand P3", "p4", "Stand P4"),
	}
	c.Mappings = []conf.Mapping{
		{Topic: "plant/{area}/{device}", Format: "json", Fields: map[string]string{"co2": "co2", "t": "temperature", "rh": "humidity"}},
		{Topic: "meters/{area}/{device}/{metric}", Format: "raw"},
	}
	c.Schedules = []conf.Schedule{
		soon("welcome", announce(area.To{Each: text("locations")}, "Welcome to Northfield. The gates of this wing take turns: only one of them speaks at a time.", "two-tone", area.Normal)),
		every("boarding", 113*time.Second, announce(area.To{Each: text("locations")}, "Boarding at this gate begins in ten minutes. Please have your boarding pass and your passport ready.", "two-tone", area.Normal)),
		every("final-call", 41*time.Second, announce(area.To{Location: text("1")}, "Final call for flight N V 214 to Bergen. All remaining passengers, please come to gate 1 at once. The gate is closing.", "three-tone", area.High)),
		every("gate-change", 53*time.Second, announce(area.To{Location: text("3")}, "A change of gate: flight A X 22 to Lisbon now departs from gate 4. Boarding begins in fifteen minutes.", "two-tone", area.Normal)),
		every("paging", 67*time.Second, announce(area.To{Area: text("south")}, "Mister Michael Okafor, please come to the information desk opposite gate 3. Your bag has been found.", "two-tone", area.Normal)),
		every("security", 71*time.Second, announce(area.To{Area: text("pier")}, "Please keep your bags with you at all times. Bags that are left alone will be removed.", "gong", area.Background)),
		every("bus", 37*time.Second, announce(area.To{Location: text("p2")}, "The bus to flight N V 903 to Oslo leaves from stand P 2 in five minutes.", "none", area.Normal)),
	}
	return c
}

func wing(id area.Name, name string, volume int, places ...string) conf.Area {
	var a conf.Area
	a.SetDefaults()
	a.ID, a.Name, a.Volume = id, name, volume
	for i := 0; i+1 < len(places); i += 2 {
		a.Locations = append(a.Locations, conf.Location{ID: area.LocationID(places[i]), Name: places[i+1]})
	}
	return a
}

func every(id string, period time.Duration, work area.OrderRequest) conf.Schedule {
	var s conf.Schedule
	s.SetDefaults()
	d := area.Duration(period)
	s.ID, s.Every, s.Work = id, &d, work
	return s
}

// soon is a rule that comes due once, when the gates have registered.
func soon(id string, work area.OrderRequest) conf.Schedule {
	var s conf.Schedule
	s.SetDefaults()
	at := area.At(time.Now().Add(firstWords))
	s.ID, s.Once, s.Work = id, &at, work
	return s
}

// firstWords is how long after its making the site begins to talk.
const firstWords = 2 * time.Second

func announce(to area.To, message, chime string, p area.Priority) area.OrderRequest {
	expires := area.Duration(time.Minute)
	return area.OrderRequest{To: to, Message: &message, Chime: chime, Priority: &p, Expires: &expires}
}

func text(s string) *string { return &s }
