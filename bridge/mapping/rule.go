package mapping

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// Format says how a payload is read.
type Format string

// The formats.
const (
	None  Format = ""      // no readings; the rule makes events
	Raw   Format = "raw"   // the payload is one value
	JSON  Format = "json"  // an object, one reading for each field
	SenML Format = "senml" // a pack of RFC 8428
)

// Bounds of a rule.
const (
	maxLevels = 64  // of a topic; deeper ones match nothing
	maxFields = 256 // of one rule
)

// Rule says what is made of the messages of some topics. Device, Area, Metric,
// Group and Event are templates: text with captures of Topic in it.
type Rule struct {
	Topic  string            `json:"topic" yaml:"topic"`             // pattern: levels of text, {capture}, + and #
	Format Format            `json:"format,omitempty" yaml:"format"` // raw, json, senml, or empty where only events are made
	Device string            `json:"device,omitempty" yaml:"device"` // default "{device}"; needed for readings but of senml, which names its own
	Area   string            `json:"area,omitempty" yaml:"area"`     // default "{area}" where captured, else the sensor has none
	Metric string            `json:"metric,omitempty" yaml:"metric"` // of a raw payload; default "{metric}"
	Fields map[string]string `json:"fields,omitempty" yaml:"fields"` // path in the JSON, dotted, to metric; empty: every leaf that is a value
	Group  area.Group        `json:"group,omitempty" yaml:"group"`   // hub group that gets Event; needs Event
	Event  string            `json:"event,omitempty" yaml:"event"`
}

// Entry is a rule of the operator with its name.
type Entry struct {
	ID string `json:"id"`
	Rule
	Source area.Source `json:"source"` // config or api
}

// Check reports every fault of a rule of the operator. Topics of ours are not
// his to read so, and nothing that only the hub says may be said by a mapping.
func Check(r Rule) error {
	c, err := compile(r, 0)
	if first, _, _ := strings.Cut(r.Topic, "/"); first == area.Root {
		err = errors.Join(err, fmt.Errorf("topics below %s/ are the hub's own", area.Root))
	}
	if c != nil && r.Group != "" {
		if g, ok := c.group.constant(); ok && area.Group(g).Reserved() && area.HubEvent(r.Event) {
			err = errors.Join(err, fmt.Errorf("%s of group %s is the hub's own", r.Event, g))
		}
	}
	return err
}

// Builtin is the rules that hold where no rule of the operator does: our own
// devices' readings, and the smallest sensor that one can build.
func Builtin() []Rule {
	return []Rule{
		{Topic: area.Root + "/device/{device}/tele/{metric}", Format: Raw},
		{Topic: area.Root + "/device/{device}/tele/{channel}/{metric}", Format: Raw}, // of several thermometers
		{Topic: "home/{area}/{device}/{metric}", Format: Raw},
	}
}

// rule is a Rule made ready.
type rule struct {
	rank     int // lower goes first
	levels   []string
	captures map[string]int // name to level
	format   Format
	device   template
	area     template
	metric   template
	channel  template
	fields   []field
	group    template
	event    template
}

// field is what one path of a JSON payload becomes.
type field struct{ path, metric, channel string }

// compile checks r; its error has every fault of the rule.
func compile(r Rule, rank int) (*rule, error) {
	c := &rule{rank: rank, format: r.Format}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	var err error
	if c.levels, c.captures, err = parsePattern(r.Topic); err != nil {
		return nil, err
	}
	parse := func(name, text, byDefault string) template {
		t, err := parseTemplate(c.orCapture(text, byDefault), c.captures)
		if err != nil {
			fault("%s: %w", name, err)
		}
		return t
	}
	c.device, c.area = parse("device", r.Device, "device"), parse("area", r.Area, "area")
	c.metric, c.channel = parse("metric", r.Metric, "metric"), parse("channel", "", "channel")
	c.group, c.event = parse("group", string(r.Group), ""), parse("event", r.Event, "")
	c.fields, err = compileFields(r.Fields)
	if err != nil {
		faults = append(faults, err)
	}
	faults = append(faults, c.complete(r)...)
	return c, errors.Join(faults...)
}

// complete finds what a rule lacks or has too much.
func (c *rule) complete(r Rule) (faults []error) {
	fault := func(text string) { faults = append(faults, errors.New(text)) }
	switch {
	case r.Format != None && r.Format != Raw && r.Format != JSON && r.Format != SenML:
		fault(fmt.Sprintf("format %q is none of raw, json and senml", r.Format))
	case r.Format == None && r.Group == "":
		fault("neither format nor group: the rule makes nothing")
	case r.Format == None && (r.Device != "" || r.Metric != "" || len(r.Fields) > 0):
		fault("device, metric and fields need a format")
	}
	if r.Format != None && r.Format != SenML && len(c.device) == 0 && r.Device == "" {
		fault("no device: name one, or capture {device}")
	}
	if r.Format == Raw && len(c.metric) == 0 && r.Metric == "" {
		fault("no metric: name one, or capture {metric}")
	}
	if r.Format != JSON && r.Format != None && len(r.Fields) > 0 {
		fault("fields need format json")
	}
	if (r.Group == "") != (r.Event == "") {
		fault("group and event go together")
	}
	if g, ok := c.group.constant(); ok && r.Group != "" {
		if _, err := area.ParseGroup(g); err != nil {
			faults = append(faults, err)
		}
	}
	return faults
}

// orCapture is text, or, where it is empty, the capture of that name.
func (c *rule) orCapture(text, name string) string {
	if _, ok := c.captures[name]; text == "" && ok {
		return "{" + name + "}"
	}
	return text
}

// parsePattern takes a pattern apart: its levels, with "+" for each capture,
// and where each capture is.
func parsePattern(pattern string) ([]string, map[string]int, error) {
	levels, captures := strings.Split(pattern, "/"), map[string]int{}
	if len(levels) > maxLevels {
		return nil, nil, fmt.Errorf("topic has %d levels, at most %d", len(levels), maxLevels)
	}
	for i, l := range levels {
		if !strings.ContainsAny(l, "{}") {
			continue
		}
		name, ok := captureName(l)
		if !ok {
			return nil, nil, fmt.Errorf("topic level %q: a capture is a whole level, {name}", l)
		}
		if _, twice := captures[name]; twice {
			return nil, nil, fmt.Errorf("topic captures {%s} twice", name)
		}
		captures[name], levels[i] = i, "+"
	}
	if !area.ValidFilter(strings.Join(levels, "/")) {
		return nil, nil, fmt.Errorf("topic %q is no topic filter", pattern)
	}
	return levels, captures, nil
}

// captureName is the name in "{name}".
func captureName(level string) (string, bool) {
	name := strings.TrimSuffix(strings.TrimPrefix(level, "{"), "}")
	return name, len(name) == len(level)-2 && area.IsID(name)
}

// compileFields gives each path its metric. Two paths of one metric are kept
// apart by their path as channel.
func compileFields(fields map[string]string) ([]field, error) {
	if len(fields) > maxFields {
		return nil, fmt.Errorf("%d fields, at most %d", len(fields), maxFields)
	}
	times := map[string]int{}
	for _, metric := range fields {
		times[metric]++
	}
	var compiled []field
	for _, path := range slices.Sorted(maps.Keys(fields)) {
		metric := fields[path]
		if !isName(path) || !isName(metric) {
			return nil, fmt.Errorf("field %q: %q: path and metric have 1 to %d bytes of text", path, metric, maxName)
		}
		f := field{path: path, metric: metric}
		if times[metric] > 1 {
			f.channel = path
		}
		compiled = append(compiled, f)
	}
	return compiled, nil
}
