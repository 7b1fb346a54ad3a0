package conf

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// load reads a file of the text, with flags and an environment.
func load(t *testing.T, text string, f Flags, environ ...string) (Config, error) {
	t.Helper()
	f.Config = filepath.Join(t.TempDir(), "t.yaml")
	if err := os.WriteFile(f.Config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Default(), f, environ)
	return c, dropDir(err, filepath.Dir(f.Config)+"/")
}

func dropDir(err error, dir string) error {
	if fs, ok := err.(settings.Faults); ok {
		for i := range fs {
			fs[i].Where = strings.TrimPrefix(fs[i].Where, dir)
			fs[i].Text = strings.ReplaceAll(fs[i].Text, dir, "")
		}
	}
	return err
}

func TestDefaultsAreValid(t *testing.T) {
	c, err := Load(Default(), Flags{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
}

func TestExampleIsTheDefaults(t *testing.T) {
	c, err := Load(Default(), Flags{Config: "../../../configs/tacet.yaml"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Areas) != 2 || len(c.Mappings) != 3 || len(c.Schedules) != 2 || c.Areas[1].Lease != 6*time.Second || c.Schedules[1].Enabled {
		t.Errorf("got %+v", c)
	}
	want := Default()
	c.Areas, c.Mappings, c.Schedules, c.Origins, c.Process, c.HTTP.AllowedOrigins, c.MQTT.ProxyProtocol = nil, nil, nil, settings.Origins{}, want.Process, nil, nil
	if !reflect.DeepEqual(c, want) {
		t.Errorf("the example says\n%+v, the defaults are\n%+v", c, want)
	}
}

func TestPrecedence(t *testing.T) {
	const file = "node: file\ndata: file\nhttp: {addr: \"127.0.0.1:1\"}\nmqtt: {addr: \"127.0.0.1:2\"}\n"
	c, err := load(t, file, Flags{Node: "flag"}, "TACET_NODE=env", "TACET_DATA=env", "TACET_LOG_FORMAT=json", "TACET_HTTP_ALLOWED_ORIGINS=https://a,https://b")
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][2]string{
		"flag over all": {c.Node, "flag"}, "environment over file": {c.Data, "env"}, "file over default": {c.HTTP.Addr, "127.0.0.1:1"},
		"default": {c.HTTP.AdminAddr, "127.0.0.1:8090"}, "process": {c.LogFormat, "json"}, "list": {strings.Join(c.HTTP.AllowedOrigins, " "), "https://a https://b"},
		"origin of flag": {c.Of("node"), "--node"}, "origin of variable": {c.Of("data"), "TACET_DATA"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: got %q, want %q", what, got[0], got[1])
		}
	}
}

func TestFileIsReadOnlyWhereNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.yaml")
	if err := os.WriteFile(path, []byte("node: named\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(Default(), Flags{}, []string{"TACET_CONFIG=" + path}); err != nil || c.Node != "named" {
		t.Errorf("got %q, %v", c.Node, err)
	}
}

func TestAListenerBesideAnOutsideBrokerIsAWarning(t *testing.T) {
	c, err := load(t, "mqtt: {external: {url: \"mqtt://x\"}}", Flags{MQTT: "127.0.0.1:0"})
	if err != nil || !reflect.DeepEqual(c.Warnings, []string{"--mqtt: mqtt.addr: no broker of the hub's own listens beside mqtt.external"}) {
		t.Errorf("got %q, %v", c.Warnings, err)
	}
	if c, err = load(t, "mqtt: {external: {url: \"mqtt://x\"}}", Flags{}); err != nil || len(c.Warnings) > 0 {
		t.Errorf("got %q, %v", c.Warnings, err)
	}
}

func TestUnknownVariablesAreWarnings(t *testing.T) {
	c, err := Load(Default(), Flags{}, []string{"TACET_PORT=tcp://x", "TACET_URL=x", "TACET_TOKEN=x", "TACET_DEVICE_HUB=x", "TACET_NODE=n", "TACET_INSECURE=true"})
	if err != nil || !reflect.DeepEqual(c.Warnings, []string{"TACET_PORT is set, but is no key"}) {
		t.Errorf("got %q, %v", c.Warnings, err)
	}
}

func TestAdminPortFollowsZero(t *testing.T) {
	for name, c := range map[string]struct {
		flags Flags
		file  string
		want  string
	}{
		"zero":      {Flags{HTTP: "127.0.0.1:0"}, "", "127.0.0.1:0"},
		"not zero":  {Flags{HTTP: "127.0.0.1:9"}, "", "127.0.0.1:8090"},
		"its own":   {Flags{HTTP: "127.0.0.1:0"}, "http: {admin_addr: \"127.0.0.1:7\"}", "127.0.0.1:7"},
		"from file": {Flags{}, "http: {addr: \"localhost:0\"}", "127.0.0.1:0"},
	} {
		got, err := load(t, c.file, c.flags)
		if err != nil || got.HTTP.AdminAddr != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, got.HTTP.AdminAddr, err, c.want)
		}
	}
}

func TestNamesDefaultToIDs(t *testing.T) {
	c, err := load(t, "areas: [{id: north, locations: [{id: 1}]}]", Flags{})
	if err != nil || c.Areas[0].Name != "north" || c.Areas[0].Locations[0].Name != "1" {
		t.Errorf("got %+v, %v", c.Areas, err)
	}
}

func TestValidate(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"one area name twice":     {"areas:\n- {id: a, name: N}\n- {id: b, name: N}\n", `t.yaml:3: areas[1].name: area name "N" is also at areas[0].name (t.yaml:2)`},
		"one area id twice":       {"areas:\n- {id: a, name: N}\n- {id: a, name: M}\n", `t.yaml:3: areas[1].id: area "a" is also at areas[0].id (t.yaml:2)`},
		"one location in two":     {"areas:\n- {id: a, locations: [{id: 1}]}\n- {id: b, locations: [{id: 1}]}\n", `t.yaml:3: areas[1].locations[0].id: location "1" is also at areas[0].locations[0].id (t.yaml:2)`},
		"one schedule twice":      {"schedules:\n- {id: s, every: 1m, work: {to: {area: a}, message: m}}\n- {id: s, every: 1m, work: {to: {area: a}, message: m}}\n", `t.yaml:3: schedules[1].id: schedule "s" is also at schedules[0].id (t.yaml:2)`},
		"reserved":                {"areas: [{id: unassigned}]", `t.yaml:1: areas[0].id: unassigned is reserved`},
		"no id":                   {"areas: [{name: x}]", `t.yaml:1: areas[0].id: "" is not 1 to 64 of A-Z a-z 0-9 _ -`},
		"lease short":             {"areas: [{id: a, lease: 999ms}]", `t.yaml:1: areas[0].lease: 999ms is not 1s to 10m`},
		"lease long":              {"areas: [{id: a, lease: 10m1s}]", `t.yaml:1: areas[0].lease: 10m1s is not 1s to 10m`},
		"policy":                  {"areas: [{id: a, policy: go}]", `t.yaml:1: areas[0].policy: "go" is none of stop, finish`},
		"barge":                   {"areas: [{id: a, emergency_barge: 100ms}]", `t.yaml:1: areas[0].emergency_barge: 100ms is not 0, or 500ms or more`},
		"quiet hours":             {"areas: [{id: a, quiet_hours: [\"23:00-5:30\"]}]", `t.yaml:1: areas[0].quiet_hours[0]: "23:00-5:30" is not two times of day such as 23:00-05:30`},
		"volume":                  {"areas: [{id: a, volume: 101}]", `t.yaml:1: areas[0].volume: 101 is not 0 to 100`},
		"open beyond loopback":    {"http: {addr: \":8080\"}", `t.yaml:1: http.addr: :8080 is not loopback; with nobody to sign in that needs --insecure`},
		"open MQTT":               {"mqtt: {addr: \"0.0.0.0:1883\"}", `t.yaml:1: mqtt.addr: 0.0.0.0:1883 is not loopback; with nobody to sign in that needs --insecure`},
		"no port":                 {"http: {addr: localhost}", `t.yaml:1: http.addr: "localhost" is not host:port`},
		"origin":                  {"http: {allowed_origins: [example.org]}", `t.yaml:1: http.allowed_origins[0]: "example.org" is not an origin such as https://example.org`},
		"limit of bytes":          {"limits: {retained_bytes: -1}", `t.yaml:1: limits.retained_bytes: -1 is not 1 or more`},
		"CONNECT over packet":     {"limits: {mqtt_connect_bytes: 300000}", `t.yaml:1: limits.mqtt_connect_bytes: 300000 is not 1024 to 262144`},
		"rate":                    {"limits: {messages_per_second: 9}", `t.yaml:1: limits.messages_per_second: 9 is not 10 to 2147483647`},
		"balancer":                {"mqtt: {proxy_protocol: [10.0.0.0/8, lb.local]}", `t.yaml:1: mqtt.proxy_protocol[1]: "lb.local" is no network such as 10.0.0.0/8, and no address`},
		"limit":                   {"limits: {session_queue: 0}", `t.yaml:1: limits.session_queue: 0 is not 1 to 65535`},
		"public url":              {"hub: {public_url: \"https://h/x\"}", `t.yaml:1: hub.public_url: "https://h/x" is not http:// or https:// with a host alone`},
		"advertised":              {"redis: {url: \"redis://x\", advertise: \"h:80\"}", `t.yaml:1: redis.advertise: "h:80" is not http:// or https:// with a host alone`},
		"timeouts":                {"hub: {client_timeout: 10s}", `t.yaml:1: hub.client_timeout: 10s is not more than hub.keepalive (15s)`},
		"redis":                   {"redis: {url: \"http://u:p@x\"}", `t.yaml:1: redis.url: it is not redis://, rediss://, valkey://, valkeys:// or unix:// with a host`},
		"redis' query":            {"redis: {url: \"redis://u:p@x?sentinel\"}", `t.yaml:1: redis.url: its query has "sentinel", which is none of addr, master_set, sentinel_username, sentinel_password, skip_verify, db`},
		"redis' beat":             {"redis: {url: \"redis://x\", heartbeat: 15s}", `t.yaml:1: redis.heartbeat: 15s is not at least 100ms and at most half of redis.node_timeout (20s)`},
		"redis' prefix":           {"redis: {url: \"redis://x\", prefix: \"a b\"}", `t.yaml:1: redis.prefix: "a b" has braces or blanks, or more than 64 bytes`},
		"redis' record":           {"redis: {url: \"redis://x\", proof_bytes: 262143}", `t.yaml:1: redis.proof_bytes: 262143 is not 262144 or more`},
		"redis and a broker":      {"redis: {url: \"redis://x\"}\nmqtt: {external: {url: \"mqtt://x\"}, bridges: [{name: b, url: \"mqtt://y\", topics: [{filter: a}]}]}", `t.yaml:2: mqtt.bridges: bridges do not go with both mqtt.external.url and redis.url: each node would carry what all of them hear; the outside broker's own bridges do`},
		"TLS":                     {"http: {tls: {cert_file: a}}", `t.yaml:1: http.tls: cert_file and key_file go together`},
		"MQTT TLS":                {"mqtt: {tls: {cert_file: a}}", `t.yaml:1: mqtt.tls: addr, cert_file and key_file go together`},
		"outside broker":          {"mqtt: {external: {url: \"http://x\"}}", `t.yaml:1: mqtt.external.url: "http://x" is not a broker's address such as mqtt://broker:1883 or mqtts://broker:8883`},
		"no outside broker":       {"mqtt: {external: {username: x}}", `t.yaml:1: mqtt.external.url: an address is needed, such as mqtt://broker:1883`},
		"its password":            {"mqtt: {external: {url: \"mqtt://x\", username: x, password_file: /nowhere}}", `t.yaml:1: mqtt.external.password_file: /nowhere: no such file or directory`},
		"its TLS":                 {"mqtt: {external: {url: \"mqtt://x\", tls: {ca_file: a}}}", `t.yaml:1: mqtt.external.tls: goes with mqtts:// alone`},
		"bridge's name":           {"mqtt: {bridges: [{name: a b, url: \"mqtt://x\", topics: [{filter: a}]}]}", `t.yaml:1: mqtt.bridges[0].name: "a b" is not 1 to 64 of A-Z a-z 0-9 _ -`},
		"two bridges of a name":   {"mqtt: {bridges: [{name: a, url: \"mqtt://x\", topics: [{filter: a}]}, {name: a, url: \"mqtt://x\", topics: [{filter: a}]}]}", `t.yaml:1: mqtt.bridges[1].name: "a" is the name of another bridge`},
		"bridge of nothing":       {"mqtt: {bridges: [{name: a, url: \"mqtt://x\"}]}", `t.yaml:1: mqtt.bridges[0].topics: 0 topics, want 1 to 100`},
		"bridge's direction":      {"mqtt: {bridges: [{name: a, url: \"mqtt://x\", topics: [{filter: a, direction: up}]}]}", `t.yaml:1: mqtt.bridges[0].topics[0].direction: "up" is none of out, in, both`},
		"bridge's filter":         {"mqtt: {bridges: [{name: a, url: \"mqtt://x\", topics: [{filter: \"a/#\", remote_prefix: +/}]}]}", `t.yaml:1: mqtt.bridges[0].topics[0].filter: "+/a/#" is no topic filter, or its prefix has a wildcard`},
		"mapping's filter":        {"mappings: [{topic: \"a/#/b\", format: raw}]", `t.yaml:1: mappings[0].topic: topic "a/#/b" is no topic filter`},
		"mapping's capture":       {"mappings: [{topic: \"a/{room}\", format: raw, device: \"{hall}\", metric: co2}]", `t.yaml:1: mappings[0].device: device: the topic captures no {hall}`},
		"mapping of ours":         {"mappings: [{topic: \"tacet/#\", format: raw, device: d, metric: m}]", `t.yaml:1: mappings[0].topic: topics below tacet/ are the hub's own`},
		"mapping's format":        {"mappings: [{topic: a, format: xml, device: d}]", `t.yaml:1: mappings[0].format: format "xml" is none of raw, json and senml`},
		"mapping of both":         {"mappings: [{topic: a, format: json, device: d, group: g, event: E}]", `t.yaml:1: mappings[0]: a mapping makes readings (format, device, fields) or events (group, event), not both`},
		"schedule's unknown key":  {"schedules: [{id: s, every: 1m, work: {to: {area: a, devise: d}, message: m}}]", `t.yaml:1: schedules[0].work.to.devise: unknown key; did you mean "device"?`},
		"schedule's bad priority": {"schedules: [{id: s, every: 1m, work: {to: {area: a}, message: m, priority: low}}]", `t.yaml:1: schedules[0].work.priority: priority "low" is none of background, normal, high, emergency`},
		"schedule's cron":         {"schedules:\n- id: s\n  cron: 61 * * * *\n  work: {to: {area: a}, message: m}\n", `t.yaml:3: schedules[0].cron: minute "61": 61 is not 0 to 59`},
		"schedule without a rule": {"schedules: [{id: s, work: {to: {area: a}, message: m}}]", `t.yaml:1: schedules[0].cron: exactly one of cron, every and once is needed`},
		"schedule's zone":         {"schedules: [{id: s, every: 1m, time_zone: Mars, work: {to: {area: a}, message: m}}]", `t.yaml:1: schedules[0].time_zone: "Mars" is not a time zone such as Europe/London`},
		"schedule's target":       {"schedules: [{id: s, every: 1m, work: {message: m}}]", `t.yaml:1: schedules[0].work.to: exactly one of area, location, device and each is needed`},
		"node":                    {"node: a b", `t.yaml:1: node: "a b" is not 1 to 64 of A-Z a-z 0-9 _ -`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.text, Flags{})
			if err == nil || err.Error() != c.want {
				t.Errorf("of %s\ngot  %v\nwant %s", c.text, err, c.want)
			}
		})
	}
	t.Run("insecure", func(t *testing.T) {
		if _, err := load(t, "http: {addr: \":8080\"}", Flags{Insecure: true}); err != nil {
			t.Error(err)
		}
	})
	t.Run("flag", func(t *testing.T) {
		if _, err := load(t, "", Flags{Redis: "x://x", LogLevel: "loud"}); err == nil ||
			err.Error() != "--log-level: \"loud\" is none of debug, info, warn, error\n--redis: redis.url: it is not redis://, rediss://, valkey://, valkeys:// or unix:// with a host" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("all at once", func(t *testing.T) {
		_, err := load(t, "nod: x\nareas: [{id: a b, lease: 1h}]\nredis: {url: x}\n", Flags{})
		if fs, _ := err.(settings.Faults); len(fs) != 4 {
			t.Errorf("got %v, want 4 faults", err)
		}
	})
}

// No two keys may share a variable.
func TestVariablesAreUnique(t *testing.T) {
	seen := map[string]string{}
	var walk func(reflect.Type, string)
	walk = func(typ reflect.Type, key string) {
		for name, i := range settings.Fields(typ) {
			path := settings.Join(key, name)
			if f := typ.Field(i).Type; f.Kind() == reflect.Struct {
				walk(f, path)
				continue
			}
			if other, ok := seen[settings.VarOf(path)]; ok {
				t.Errorf("%s is the variable of %s and %s", settings.VarOf(path), other, path)
			}
			seen[settings.VarOf(path)] = path
		}
	}
	walk(reflect.TypeFor[Config](), "")
	walk(reflect.TypeFor[Process](), "")
	if len(seen) < 40 {
		t.Errorf("got %d keys", len(seen))
	}
}
