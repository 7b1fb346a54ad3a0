package mapping

import (
	"fmt"
	"strings"
	"testing"
)

// show writes an outcome on one line.
func show(o Outcome) string {
	var parts []string
	for _, v := range o.Values {
		s := fmt.Sprintf("%s@%s %s", v.Device, v.Area, v.Metric)
		if v.Channel != "" {
			s += "/" + v.Channel
		}
		s += fmt.Sprintf("=%v%s", v.Value, v.Unit)
		if v.Bad {
			s += " bad"
		}
		parts = append(parts, s)
	}
	for _, e := range o.Events {
		parts = append(parts, fmt.Sprintf("%s!%s%v", e.Group, e.Event, e.Captures))
	}
	o.Faults.Each(func(r Reason, n uint32) { parts = append(parts, fmt.Sprintf("-%s:%d", r, n)) })
	return strings.Join(parts, "; ")
}

// apply is what a reader that has learnt nothing makes of a message.
func apply(rules *Table, topic string, payload []byte) Outcome {
	return NewReader().Read(rules, Message{Topic: topic, Payload: payload})
}

var operator = []Rule{
	{Topic: "hall/{area}/{metric}", Format: Raw, Device: "hall-{area}"},
	{Topic: "meters/{device}", Format: JSON, Fields: map[string]string{"p": "power", "a.b": "co2", "t1": "temperature", "t2": "temperature"}},
	{Topic: "free/{device}", Format: JSON},
	{Topic: "plant/+/alarm", Group: "alarms", Event: "Alarm"},
	{Topic: "plant/{line}/{what}", Group: "line.{line}", Event: "{what}Seen"},
	{Topic: "deep/{device}/#", Format: Raw, Metric: "level"},
	{Topic: "home/{area}/special/{metric}", Format: Raw, Device: "mine"},
	{Topic: "home/{area}/siren/{metric}", Group: "sirens", Event: "Siren"},
	{Topic: "ch/{device}/{channel}/{metric}", Format: Raw},
}

func TestApply(t *testing.T) {
	table, err := Compile(operator)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ topic, payload, want string }{
		"built-in":                {"home/north/hall/temperature", "21.5", "hall@north temperature=21.5°C"},
		"own tele":                {"tacet/device/gate-1/tele/noise", " 61\n", "gate-1@ noise=61dB"},
		"own tele of a channel":   {"tacet/device/gate-1/tele/cpu/temperature", "61.5", "gate-1@ temperature/cpu=61.5°C"},
		"own tele that failed":    {"tacet/device/gate-1/tele/temperature", "unmeasured", "gate-1@ temperature=<nil>°C bad; -text:1"},
		"template":                {"hall/north/rh", "40", "hall-north@north humidity=40%"},
		"operator over built-in":  {"home/north/special/co2", "400", "mine@north co2=400ppm"},
		"event beside built-in":   {"home/north/siren/switch", "ON", "siren@north switch=true; sirens!Sirenmap[area:north metric:switch]"},
		"area that is no id":      {"home/North Wing/hall/co2", "1", "hall@North Wing co2=1ppm"},
		"unknown metric":          {"home/north/hall/queue", "7", "hall@north queue=7"},
		"rest of the topic":       {"deep/tank/x/y", "3", "tank@ level=3"},
		"parent of #":             {"deep/tank", "3", "tank@ level=3"},
		"channel capture":         {"ch/rack/a/temperature", "30", "rack@ temperature/a=30°C"},
		"no rule":                 {"other/x", "1", ""},
		"too short":               {"home/north/hall", "1", ""},
		"dollar":                  {"$SYS/a/b/c", "1", ""},
		"two events":              {"plant/3/alarm", "x", "alarms!Alarmmap[]; line.3!alarmSeenmap[line:3 what:alarm]"},
		"event name of the topic": {"plant/bad group/alarm", "x", "alarms!Alarmmap[]; -name:1"},
		"empty level":             {"home/north//temperature", "1", "-name:1"},
		"control in device":       {"home/north/a\x01/temperature", "1", "-name:1"},

		"on":                 {"home/n/d/switch", "on", "d@n switch=true"},
		"closed":             {"home/n/d/contact", "closed", "d@n contact=false"},
		"one":                {"home/n/d/occupancy", "1", "d@n occupancy=true"},
		"count of people":    {"home/n/d/occupancy", "3", "d@n occupancy=3"},
		"POWER2":             {"home/n/d/POWER2", "OFF", "d@n switch/2=false"},
		"Power":              {"home/n/d/Power", "5", "d@n power=5W"},
		"state, not known":   {"home/n/d/valve", "open", "d@n valve=open"},
		"true, not known":    {"home/n/d/armed", "true", "d@n armed=true"},
		"text for a number":  {"home/n/d/temperature", "err", "d@n temperature=<nil>°C bad; -text:1"},
		"text for a state":   {"home/n/d/contact", "maybe", "d@n contact=<nil> bad; -text:1"},
		"text for nothing":   {"home/n/d/note", "hello", "-text:1"},
		"nan":                {"home/n/d/temperature", "NaN", "-not_finite:1"},
		"minus inf":          {"home/n/d/temperature", "-inf", "-not_finite:1"},
		"huge":               {"home/n/d/temperature", "1e999", "-not_finite:1"},
		"hexadecimal":        {"home/n/d/note", "0x10", "-text:1"},
		"null":               {"home/n/d/temperature", "null", "-null:1"},
		"list":               {"home/n/d/temperature", "[1]", "-list:1"},
		"object":             {"home/n/d/temperature", "{}", "-shape:1"},
		"empty":              {"home/n/d/temperature", " ", "-empty:1"},
		"binary":             {"home/n/d/temperature", "\xff\x00", "-binary:1"},
		"too large":          {"home/n/d/temperature", strings.Repeat("1", MaxPayload+1), "-size:1"},
		"topic too deep":     {"home" + strings.Repeat("/", 100), "1", "-depth:1"},
		"fields":             {"meters/m1", `{"p":12.5,"q":3,"a":{"b":"410"}}`, "m1@ co2=410ppm; m1@ power=12.5W"},
		"fields, one metric": {"meters/m1", `{"t1":1,"t2":2}`, "m1@ temperature/t1=1°C; m1@ temperature/t2=2°C"},
		"fields, text":       {"meters/m1", `{"p":"off"}`, "m1@ power=<nil>W bad; -text:1"},
		"fields, null":       {"meters/m1", `{"p":null,"a":{"b":[1]}}`, "-null:1; -list:1"},
		"fields, object":     {"meters/m1", `{"p":{"x":1}}`, "-shape:1"},
		"leaves":             {"free/x", `{"tempc":1,"ok":true,"door":"open","Serial":"0012","n":5}`, "x@ door=true; x@ n=5; x@ ok=true; x@ temperature=1°C"},
		"probes":             {"free/x", `{"DS-1":{"Temperature":1},"DS-2":{"Temperature":2},"Time":"2019-11-03T19:34:28"}`, "x@ temperature/DS-1=1°C; x@ temperature/DS-2=2°C"},
		"own value":          {"free/x", `{"temperature":{"value":21},"aenergy":{"total":7},"battery":{"V":3,"percent":90}}`, "x@ energy=7Wh; x@ battery_voltage=3V; x@ battery=90%; x@ temperature=21°C"},
		"nested, not known":  {"free/x", `{"a":{"b":{"c":1}}}`, "x@ a.b.c=1"},
		"true for a number":  {"free/x", `{"temperature":true}`, "x@ temperature=<nil>°C bad; -text:1"},
		"PM2.5":              {"free/x", `{"PM2.5":4}`, "x@ pm25=4µg/m³"},
		"no object":          {"free/x", `[{"a":1}]`, "-shape:1"},
		"two values":         {"free/x", `{"a":1} {"b":2}`, "-syntax:1"},
		"NaN in JSON":        {"free/x", `{"a":NaN,"temp":-inf,"b":2}`, "x@ b=2; -not_finite:2; -null:2"},
		"no JSON":            {"free/x", `{"a":abc}`, "-syntax:1"},
		"nested too deep":    {"free/x", strings.Repeat(`{"a":`, 10_000), "-depth:1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := show(apply(table, c.topic, []byte(c.payload))); got != c.want {
				t.Errorf("%s %.60q\n got %s\nwant %s", c.topic, c.payload, got, c.want)
			}
		})
	}
}

func TestApplyBoundsValuesAndEvents(t *testing.T) {
	var rules []Rule
	for range MaxEvents + 5 {
		rules = append(rules, Rule{Topic: "#", Group: "g", Event: "E"})
	}
	table, err := Compile(append(rules, Rule{Topic: "m/{device}", Format: JSON}))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i := range MaxValues + 10 {
		fmt.Fprintf(&b, `"k%d":1,`, i)
	}
	out := apply(table, "m/x", []byte("{"+strings.TrimSuffix(b.String(), ",")+"}"))
	if len(out.Values) != MaxValues || len(out.Events) != MaxEvents || out.Faults[Many] != 15 {
		t.Errorf("got %d values, %d events, %d refused; want %d, %d, 15", len(out.Values), len(out.Events), out.Faults[Many], MaxValues, MaxEvents)
	}
}

func TestCompileNamesEveryFault(t *testing.T) {
	_, err := Compile([]Rule{
		{Topic: "a/{x", Format: Raw},
		{Topic: "a/b{x}", Format: Raw},
		{Topic: "a/{x}/{x}", Format: Raw},
		{Topic: "a/#/b", Format: Raw},
		{Topic: "f1/{device}", Format: "xml"},
		{Topic: "f2/{device}", Format: Raw},
		{Topic: "f3/{metric}", Format: Raw},
		{Topic: "f4/{device}"},
		{Topic: "f5/{device}", Format: JSON, Area: "{site}"},
		{Topic: "f6/{device}", Group: "bad group", Event: "E"},
		{Topic: "f7/{device}", Group: "g"},
		{Topic: "f8/{metric}/{device}", Format: Raw, Fields: map[string]string{"a": "b"}},
		{Topic: "f9/{device}", Format: JSON, Fields: map[string]string{"a": ""}},
		{Topic: "ok/{device}", Format: JSON},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"mapping 1 (a/{x)", "mapping 2 ", "twice", "no topic filter", `"xml"`, "no metric", "no device", "makes nothing", "captures no {site}",
		"bad group", "go together", "fields need format json", "path and metric",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "mapping 14") {
		t.Errorf("a good rule is called bad:\n%v", err)
	}
}

func FuzzApply(f *testing.F) {
	table, err := Compile(operator)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][2]string{
		{"home/north/hall/temperature", "21.5"}, {"home/n/d/contact", "OPEN"}, {"meters/m", `{"p":1,"a":{"b":2}}`}, {"free/x", `{"a":{"b":[1,{"c":null}]},"":1}`},
		{"plant/1/alarm", "\xff"}, {"free/x", strings.Repeat(`{"a":`, 50)}, {"$SYS/x", "1"}, {"/", ""}, {"free/x", `{"\ud800":1e400}`},
	} {
		f.Add(seed[0], []byte(seed[1]))
	}
	f.Fuzz(func(t *testing.T, topic string, payload []byte) {
		out := apply(table, topic, payload)
		if again := apply(table, topic, payload); show(out) != show(again) {
			t.Errorf("%q %q: %s, then %s", topic, payload, show(out), show(again))
		}
		for _, v := range out.Values {
			if v.Bad != (v.Value == nil) || !isName(v.Metric) || !isName(string(v.Device)) {
				t.Errorf("%q %q: %+v", topic, payload, v)
			}
		}
	})
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{0, 10, 1_000, 10_000} {
		b.Run(fmt.Sprintf("mappings=%d", n), func(b *testing.B) {
			rules := make([]Rule, n)
			for i := range rules {
				rules[i] = Rule{Topic: fmt.Sprintf("site/%d/{area}/{device}/{metric}", i), Format: Raw}
			}
			table, err := Compile(rules)
			if err != nil {
				b.Fatal(err)
			}
			reader := NewReader()
			b.ReportAllocs()
			for b.Loop() {
				reader.Read(table, Message{Topic: "home/north/hall/temperature", Payload: []byte("21.5")})
			}
		})
	}
}

func BenchmarkApplyJSON(b *testing.B) {
	table, err := Compile(operator)
	if err != nil {
		b.Fatal(err)
	}
	reader := NewReader()
	b.ReportAllocs()
	for b.Loop() {
		reader.Read(table, Message{Topic: "free/x", Payload: []byte(`{"temperature":27.34,"humidity":44.72,"battery":97,"linkquality":115,"contact":true}`)})
	}
}

func ExampleReader_Read() {
	table, err := Compile([]Rule{{Topic: "hall/{area}/{metric}", Format: Raw, Device: "hall-{area}"}})
	if err != nil {
		panic(err)
	}
	for _, v := range NewReader().Read(table, Message{Topic: "hall/north/temperature", Payload: []byte("21.5")}).Values {
		fmt.Println(v.Device, v.Area, v.Metric, v.Value, v.Unit)
	}
	// Output: hall-north north temperature 21.5 °C
}
