package cli

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

func sensorList(env Env) *cobra.Command {
	header := []string{"ID", "NAME", "AREA", "PRESENCE", "LAST_SEEN", "CONVENTION", "READINGS"}
	return list(env, "list", "Show the sensors and what they measure", "/sensors", header, func(d area.Device) []string {
		var readings []string
		for _, r := range d.Readings {
			readings = append(readings, readingText(r))
		}
		return []string{string(d.ID), d.Name, string(d.Area), string(d.Presence), text(d.LastSeen), d.Attributes["convention"], strings.Join(readings, ", ")}
	})
}

// sensorShow prints what is known of one sensor: what it says of itself, what of it
// is not understood, and each reading.
func sensorShow(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: "show SENSOR", Short: "Show a sensor: what it says of itself, what of it is not understood, and its readings", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		d, body, err := get[area.Device](c.Context(), hub, "/devices/"+url.PathEscape(args[0]))
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		return sensorTable(d).print(c.OutOrStdout())
	}}
	f.register(c)
	return c
}

func sensorTable(d area.Device) table {
	t := table{{"KEY", "VALUE"}}
	for _, line := range [][2]string{
		{"id", string(d.ID)}, {"name", d.Name}, {"area", string(d.Area)}, {"location", text(d.Location)}, {"presence", string(d.Presence)}, {"reason", text(d.Reason)}, {"last seen", text(d.LastSeen)},
	} {
		t.row(line[0], line[1])
	}
	for _, key := range slices.Sorted(maps.Keys(d.Attributes)) {
		t.row(strings.ReplaceAll(key, "_", " "), d.Attributes[key])
	}
	for _, r := range d.Readings {
		t.row("reading", readingText(r)+" at "+time.UnixMilli(r.TS).UTC().Format(time.RFC3339)+" on "+r.Topic)
	}
	return t
}

// readingText is a reading in a few characters: "temperature 21.5 °C (stale)".
func readingText(r area.Reading) string {
	s := r.Metric
	if r.Channel != nil {
		s += "/" + *r.Channel
	}
	if r.Value != nil {
		s += " " + valueText(r.Value)
	}
	if r.Unit != nil {
		s += " " + *r.Unit
	}
	if r.Quality != area.Good {
		s += " (" + string(r.Quality) + ")"
	}
	return s
}

func valueText(value any) string {
	if f, ok := value.(float64); ok {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return fmt.Sprint(value)
}

// sensorAssign puts a sensor into an area, for good.
func sensorAssign(env Env) *cobra.Command {
	var f hubFlags
	var location, name string
	c := &cobra.Command{Use: "assign SENSOR AREA", Short: "Put a sensor into an area", Args: exactly(2), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		body := map[string]string{"area": args[1]}
		for key, value := range map[string]string{"location": location, "name": name} {
			if value != "" {
				body[key] = value
			}
		}
		answer, err := hub.do(c.Context(), "PUT", "/devices/"+url.PathEscape(args[0]), body)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, answer)
		}
		var d area.Device
		if err := decode(answer, &d); err != nil {
			return err
		}
		if d.LastSeen == nil {
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is not known: nothing was ever heard of it. When it comes, it will be in %s\n", printable(args[0]), args[1])
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s is in %s\n", printable(args[0]), args[1])
		return err
	}}
	c.Flags().StringVar(&location, "location", "", "`ID` of the place in the area where it is mounted")
	c.Flags().StringVar(&name, "name", "", "what people call it")
	f.register(c)
	return c
}

func sensorMappings(env Env) *cobra.Command {
	header := []string{"ID", "TOPIC", "FORMAT", "DEVICE", "AREA", "METRIC", "FIELDS", "GROUP", "EVENT", "SOURCE"}
	return list(env, "mappings", "Show how foreign topics are read", "/mappings", header, func(e mapping.Entry) []string {
		return []string{e.ID, e.Topic, string(e.Format), e.Device, e.Area, e.Metric, fieldsText(e.Fields), string(e.Group), e.Event, string(e.Source)}
	})
}

// sensorUnmap takes a mapping away.
func sensorUnmap(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: "unmap MAPPING", Short: "Take a mapping away", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		_, err = hub.do(c.Context(), "DELETE", "/mappings/"+url.PathEscape(args[0]), nil)
		return err
	}}
	f.register(c)
	return c
}

// mapFlags is a mapping on the command line, and what it is tried on.
type mapFlags struct {
	hubFlags
	id, topic, format, device, area, metric, group, event string
	fields                                                []string
	dryRun                                                bool
	config, messages, listen                              string
	wait                                                  time.Duration
}

// sensorMap makes a mapping, or shows what one would make of messages.
func sensorMap(env Env) *cobra.Command {
	var f mapFlags
	c := &cobra.Command{
		Use:   "map --topic FILTER [--format raw|json|senml] [--dry-run --messages FILE | --dry-run --listen FILTER]",
		Short: "Make a mapping of foreign topics, or try one on messages",
		Long: "Make a mapping of foreign topics: it says what the hub reads of them, and beats what it would guess.\n\n" +
			"With --dry-run nothing is made: the mapping, or those of the configuration file, and the conventions that the hub knows\n" +
			"by itself, are tried on recorded messages (--messages, a \"topic payload\" in each line, as mosquitto_sub -v prints them),\n" +
			"or on those that come to the hub in a while (--listen, the newest of each topic, looked at twice a second; without a\n" +
			"mapping or a file the hub's own mappings are tried: the answer is what it makes of them).",
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.dryRun {
				return f.try(c, env)
			}
			return f.make(c, env)
		},
	}
	s := c.Flags()
	s.StringVar(&f.topic, "topic", "", "topic `FILTER`, which may have captures as levels: plant/{area}/{device}/{metric}")
	s.StringVar(&f.format, "format", "", "raw, json or senml; none: the mapping makes events")
	s.StringVar(&f.device, "device", "", "name of the sensor, with captures (default {device})")
	s.StringVar(&f.area, "area", "", "its area, with captures (default {area} where it is captured)")
	s.StringVar(&f.metric, "metric", "", "what a raw value measures, with captures (default {metric})")
	s.StringArrayVar(&f.fields, "field", nil, "`PATH=METRIC` of JSON, once for each (default every value)")
	s.StringVar(&f.group, "group", "", "group that gets the event")
	s.StringVar(&f.event, "event", "", "event that the group gets")
	s.StringVar(&f.id, "id", "", "id of the mapping (default made by the hub)")
	s.BoolVar(&f.dryRun, "dry-run", false, "make nothing, show what would become of messages")
	s.StringVar(&f.config, "config", "", "try the mappings of this configuration `FILE`")
	s.StringVar(&f.messages, "messages", "", "`FILE` of recorded messages; - is standard input")
	s.StringVar(&f.listen, "listen", "", "topic `FILTER` of messages to wait for")
	s.DurationVar(&f.wait, "for", 10*time.Second, "how long to wait for them")
	f.register(c)
	return c
}

// rule is the mapping that the flags say.
func (f *mapFlags) rule() (mapping.Rule, error) {
	r := mapping.Rule{Topic: f.topic, Format: mapping.Format(f.format), Device: f.device, Area: f.area, Metric: f.metric, Group: area.Group(f.group), Event: f.event}
	for _, field := range f.fields {
		path, metric, ok := strings.Cut(field, "=")
		if !ok {
			return r, Usagef("--field %q is not PATH=METRIC", field)
		}
		if r.Fields == nil {
			r.Fields = map[string]string{}
		}
		r.Fields[path] = metric
	}
	if err := mapping.Check(r); err != nil {
		return r, Usagef("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return r, nil
}

// make has the hub keep the mapping.
func (f *mapFlags) make(c *cobra.Command, env Env) error {
	if f.topic == "" {
		return Usagef("--topic is needed, or --dry-run")
	}
	r, err := f.rule()
	if err != nil {
		return err
	}
	hub, err := f.client(env)
	if err != nil {
		return err
	}
	body := struct {
		ID string `json:"id,omitempty"`
		mapping.Rule
	}{f.id, r}
	answer, err := hub.do(c.Context(), "POST", "/mappings", body)
	if err != nil {
		return err
	}
	if f.json {
		return printJSON(c, answer)
	}
	var made mapping.Entry
	if err := decode(answer, &made); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), made.ID)
	return err
}

func fieldsText(fields map[string]string) string {
	var list []string
	for path, metric := range fields {
		list = append(list, path+"="+metric)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}
