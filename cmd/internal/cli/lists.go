package cli

import (
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
)

// list is a command that shows the items of a list, a row each.
func list[T any](env Env, use, short, path string, header []string, row func(T) []string) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: use, Short: short, Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		if f.json {
			body, err := hub.do(c.Context(), "GET", path+"?limit=1000", nil)
			if err != nil {
				return err
			}
			return printJSON(c, body)
		}
		items, err := all[T](c.Context(), hub, path)
		if err != nil {
			return err
		}
		t := table{header}
		for _, item := range items {
			t.row(row(item)...)
		}
		return t.print(c.OutOrStdout())
	}}
	f.register(c)
	return c
}

func areaList(env Env) *cobra.Command {
	header := []string{"ID", "NAME", "STATE", "HOLDER", "WAITING", "LOCATIONS", "MEMBERS", "SOURCE"}
	return list(env, "list", "Show the areas and what they do", "/areas", header, func(a area.Area) []string {
		var b area.Busy
		if json.Unmarshal(a.Busy, &b) != nil {
			b.State = "" // no arbiter has said anything yet
		}
		var places []area.LocationID
		for _, l := range a.Locations {
			places = append(places, l.ID)
		}
		return []string{string(a.ID), a.Name, string(b.State), text(b.Holder), strconv.Itoa(waiting(a)), texts(places), texts(a.Members), string(a.Source)}
	})
}

// waiting counts the orders of an area's queue that do not play yet.
func waiting(a area.Area) (n int) {
	for _, q := range a.Queue {
		if q.State != area.OrderPlaying {
			n++
		}
	}
	return n
}

func deviceList(env Env) *cobra.Command {
	header := []string{"ID", "NAME", "KIND", "VIA", "AREA", "LOCATION", "PRESENCE", "STATE", "LAST_SEEN"}
	return list(env, "list", "Show players and sensors", "/devices", header, func(d area.Device) []string {
		return []string{string(d.ID), d.Name, d.Kind, string(d.Via), string(d.Area), text(d.Location), string(d.Presence), text(d.State), text(d.LastSeen)}
	})
}

func scheduleList(env Env) *cobra.Command {
	header := []string{"ID", "RULE", "TIME_ZONE", "TO", "ENABLED", "NEXT", "LAST", "SOURCE"}
	return list(env, "list", "Show the schedules", "/schedules", header, func(s area.Schedule) []string {
		last := ""
		if s.Last != nil {
			last = s.Last.At.String()
		}
		return []string{s.ID, ruleText(s), s.TimeZone, targetText(s.Work.To), strconv.FormatBool(s.Enabled), text(s.Next), last, string(s.Source)}
	})
}

func ruleText(s area.Schedule) string {
	switch {
	case s.Cron != nil:
		return *s.Cron
	case s.Every != nil:
		return "every " + s.Every.String()
	case s.Once != nil:
		return "once " + s.Once.String()
	}
	return ""
}

func targetText(to area.To) string {
	for _, k := range []struct {
		key string
		is  *string
	}{{"area", to.Area}, {"location", to.Location}, {"device", to.Device}, {"each", to.Each}} {
		if k.is != nil {
			return k.key + " " + *k.is
		}
	}
	return ""
}

// queue shows the queues of every area, or of one.
func queue(env Env) *cobra.Command {
	var f hubFlags
	var of string
	c := &cobra.Command{Use: "queue [--area A]", Short: "Show what waits for each area", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		path := "/areas"
		if of != "" {
			path += "/" + url.PathEscape(of)
		}
		if f.json {
			body, err := hub.do(c.Context(), "GET", path, nil)
			if err != nil {
				return err
			}
			return printJSON(c, body)
		}
		var areas []area.Area
		if of == "" {
			areas, err = all[area.Area](c.Context(), hub, path)
		} else {
			areas = make([]area.Area, 1)
			areas[0], _, err = get[area.Area](c.Context(), hub, path)
		}
		if err != nil {
			return err
		}
		return queues(areas).print(c.OutOrStdout())
	}}
	f.register(c)
	c.Flags().StringVar(&of, "area", "", "this area alone")
	return c
}

func queues(areas []area.Area) table {
	t := table{{"AREA", "ORDER", "STATE", "DEVICE", "ESTIMATED_START"}}
	for _, a := range areas {
		for _, q := range a.Queue {
			t.row(string(a.ID), string(q.Order), string(q.State), text(q.Device), text(q.EstimatedStart))
		}
	}
	return t
}

func orderShow(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: "show ID", Short: "Show one order and how it went", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		o, body, err := get[area.Order](c.Context(), hub, "/orders/"+url.PathEscape(args[0]))
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		t := table{{"AT", "STATE", "DEVICE", "REASON"}}
		for _, s := range o.History {
			t.row(s.At.String(), string(s.State), text(s.Device), text(s.Reason))
		}
		return t.print(c.OutOrStdout())
	}}
	f.register(c)
	return c
}
