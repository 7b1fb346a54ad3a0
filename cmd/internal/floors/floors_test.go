package floors

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func TestRepository(t *testing.T) {
	found, err := Check(os.DirFS("../../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// notOfTheDevice is what tacet-device must not be built of: it is the leader's, which
// is a program of its own since most devices never lead, or the hub's.
var notOfTheDevice = []string{"broker", "broker/arbiter", "broker/order", "broker/store", "broker/auth", "broker/proof", "firmware/leader/host", "bridge", "bridge/devicehub", "bridge/signalr",
	"cmd/internal/leaderd", "cmd/internal/conf", "cmd/internal/cli", "cmd/internal/hubd"}

// What is not in go.mod's module, by the beginning of its path.
var foreignToTheDevice = []string{"github.com/mochi-mqtt/", "go.etcd.io/bbolt", "github.com/golang-jwt/", "golang.org/x/crypto/", "debug/", "time/tzdata"}

func TestWhatTheDeviceIsBuiltOf(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "./cmd/tacet-device")
	cmd.Dir = "../../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		ours, ok := strings.CutPrefix(pkg, "github.com/tacet-hub/tacet/")
		if ok && slices.Contains(notOfTheDevice, ours) || slices.ContainsFunc(foreignToTheDevice, func(p string) bool { return strings.HasPrefix(pkg, p) }) {
			t.Errorf("tacet-device is built of %s", pkg)
		}
	}
}

// tree is a small module of the given files.
func tree(files map[string]string) fstest.MapFS {
	fs := fstest.MapFS{"go.mod": {Data: []byte("module example.org/m\n\ngo 1.26\n")}}
	for name, text := range files {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fs
}

const (
	areaDoc   = "// Package area is a word.\npackage area\n"
	brokerDoc = "// Package broker is one.\npackage broker\n"
	bridgeDoc = "// Package bridge is one.\npackage bridge\n"
)

func TestCheckFinds(t *testing.T) {
	cases := map[string]struct {
		files map[string]string
		want  string // begins the one breach; empty: none
	}{
		"clean": {map[string]string{"broker/area/doc.go": areaDoc, "broker/doc.go": brokerDoc,
			"broker/b.go": "package broker\n\nimport _ \"example.org/m/broker/area\"\nimport _ \"github.com/mochi-mqtt/server/v2/packets\"\n"}, ""},
		"up": {map[string]string{"broker/turn/doc.go": "// Package turn is one.\npackage turn\n", "broker/doc.go": brokerDoc,
			"broker/turn/a.go": "package turn\n\nimport _ \"example.org/m/broker\"\n"}, "broker/turn/a.go:3: broker/turn (floor 1) imports broker (floor 4): imports only point down"},
		"sideways": {map[string]string{"bridge/doc.go": bridgeDoc, "bridge/api/doc.go": "// Package api is one.\npackage api\n",
			"bridge/b.go": "package bridge\n\nimport _ \"example.org/m/bridge/api\"\n"}, "bridge/b.go:3: bridge (floor 13) imports bridge/api (floor 13)"},
		"banned": {map[string]string{"bridge/doc.go": bridgeDoc,
			"bridge/b.go": "package bridge\n\nimport _ \"example.org/m/scheduler/rule\"\n"}, "bridge/b.go:3: bridge imports scheduler/rule: cmd wires them"},
		"library": {map[string]string{"bridge/signalr/doc.go": "// Package signalr is one.\npackage signalr\n",
			"bridge/signalr/s.go": "package signalr\n\nimport _ \"example.org/m/broker/area\"\n"}, "bridge/signalr/s.go:3: bridge/signalr imports broker/area: a library"},
		"drivers": {map[string]string{"drivers/sim/doc.go": "// Package sim is one.\npackage sim\n",
			"drivers/sim/s.go": "package sim\n\nimport _ \"example.org/m/drivers/media\"\nimport _ \"example.org/m/broker/area\"\n"}, "drivers/sim/s.go:4: drivers/sim imports broker/area: drivers import none"},
		"confined": {map[string]string{"bridge/doc.go": bridgeDoc,
			"bridge/b.go": "package bridge\n\nimport _ \"go.etcd.io/bbolt/errors\"\n"}, "bridge/b.go:3: bridge imports go.etcd.io/bbolt/errors, which is confined to broker/store"},
		"confined, in a test": {map[string]string{"bridge/doc.go": bridgeDoc,
			"bridge/b_test.go": "package bridge\n\nimport _ \"go.etcd.io/bbolt\"\n"}, ""},
		"unlisted": {map[string]string{"bridge/doc.go": bridgeDoc,
			"bridge/b.go": "package bridge\n\nimport _ \"example.com/new\"\n"}, "bridge/b.go:3: bridge imports example.com/new, which is not in the table"},
		"standard only": {map[string]string{"broker/area/doc.go": areaDoc,
			"broker/area/a.go": "package area\n\nimport _ \"golang.org/x/sync/errgroup\"\n"}, "broker/area/a.go:3: broker/area imports golang.org/x/sync/errgroup: standard library only"},
		"no floor":           {map[string]string{"util/doc.go": "// Package util is one.\npackage util\n"}, "util: no floor"},
		"no comment":         {map[string]string{"broker/b.go": "package broker\n"}, "broker: no package comment"},
		"comment elsewhere":  {map[string]string{"broker/doc.go": brokerDoc, "broker/b.go": brokerDoc}, "broker/b.go: a package's comment is in doc.go"},
		"comment of another": {map[string]string{"broker/doc.go": "// Package area is not.\npackage broker\n"}, `broker/doc.go: the package's comment does not begin with "Package broker "`},
		"command":            {map[string]string{"cmd/tacet/main.go": "// Tacet is it.\npackage main\n"}, ""},
		"command, silent":    {map[string]string{"cmd/tacet/main.go": "package main\n"}, "cmd/tacet: no package comment"},
		"init":               {map[string]string{"broker/doc.go": brokerDoc, "broker/b.go": "package broker\n\nfunc init() {}\n"}, "broker/b.go:3: no init functions"},
		"method init":        {map[string]string{"broker/doc.go": brokerDoc, "broker/b.go": "package broker\n\ntype T int\n\nfunc (T) init() {}\n"}, ""},
		"sleep":              {map[string]string{"broker/doc.go": brokerDoc, "broker/b_test.go": "package broker\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n"}, "broker/b_test.go:5: time.Sleep in a test"},
		"sleep in a bubble": {map[string]string{"broker/doc.go": brokerDoc,
			"broker/b_test.go": "package broker\n\nimport \"time\"\nimport _ \"testing/synctest\"\n\nfunc f() { time.Sleep(1) }\n"}, ""},
		"exit":            {map[string]string{"broker/doc.go": brokerDoc, "broker/b.go": "package broker\n\nimport \"os\"\n\nfunc f() { os.Exit(1) }\n"}, "broker/b.go:5: os.Exit below main"},
		"long":            {map[string]string{"broker/doc.go": brokerDoc + strings.Repeat("\n", 600)}, "broker/doc.go: 602 lines are more than 600"},
		"another module":  {map[string]string{"broker/doc.go": brokerDoc, "configs/image/go.mod": "module x\n", "configs/image/x.go": "package x\n"}, ""},
		"fixtures":        {map[string]string{"broker/doc.go": brokerDoc, "broker/testdata/x.go": "package x\n"}, ""},
		"key":             {logging(`s.log.Info("it is", "area", 1, "colour", 2)`), `broker/b.go:8: the log key "colour" is none of`},
		"key of With":     {logging(`log := s.log.With("colour", 2); _ = log`), `broker/b.go:8: the log key "colour"`},
		"key of an attr":  {logging(`s.log.Info("it is", slog.Int("colour", 2))`), `broker/b.go:8: the log key "colour"`},
		"key after attr":  {logging(`s.log.Info("it is", slog.Int("n", 2), "colour", 1)`), `broker/b.go:8: the log key "colour"`},
		"key in a word":   {logging(`k := "n"; s.log.Info("it is", k, 2)`), `broker/b.go:8: a log key is a fixed text`},
		"key and context": {logging(`s.log.WarnContext(nil, "it is", "colour", 2)`), `broker/b.go:8: the log key "colour"`},
		"message":         {logging(`s.log.Info("It is", "n", 1)`), `broker/b.go:8: the log message "It is"`},
		"message, made":   {logging(`m := "x"; s.log.Info(m)`), `broker/b.go:8: a log message is a fixed text`},
		"fine lines":      {logging(`s.log.Info("MQTT is up", "node", 1); s.log.With("area", 1).Error("no", "err", nil); s.log.Debug("list", s.list...)`), ""},
		"relay":           {logging(`}; func (s *S) warn(k int, m string, a ...any) { s.log.Warn(m, a...) }; func (s *S) g() { s.warn(1, "it is", "colour", 2)`), `broker/b.go:8: the log key "colour"`},
		"no logger":       {logging(`s.t.Error("Anything", "colour", 1)`), ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := Check(tree(c.files))
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.HasPrefix(found[0], c.want)) {
				t.Errorf("got %q, want %q", found, c.want)
			}
		})
	}
}

// logging is a package with a logger; the line is the eighth of its file.
func logging(line string) map[string]string {
	return map[string]string{"broker/doc.go": brokerDoc,
		"broker/b.go": "package broker\n\nimport \"log/slog\"\n\ntype S struct{ log *slog.Logger }\n\nfunc (s *S) f() {\n\t" + line + "\n}\n"}
}

func TestCheckFails(t *testing.T) {
	if _, err := Check(fstest.MapFS{}); err == nil {
		t.Error("a tree without go.mod is no error")
	}
	if _, err := Check(tree(map[string]string{"broker/b.go": "pakage broker"})); err == nil {
		t.Error("a file that cannot be parsed is no error")
	}
}
