package floors

import "strings"

// rank is the floor of a package: it may import packages of lower rank alone.
// The longest prefix of a package's path counts.
var rank = map[string]int{
	"broker/area": 0,
	"broker/clip": 1, "broker/auth": 1, "broker/turn": 1, "broker/store": 1, "broker/proof": 1, "broker/proof/prooftest": 2, "broker/peers": 1, "broker/reign": 1, "broker/reign/reigntest": 2, "broker/shared": 2, "broker/shared/sharedtest": 3,
	"broker/estate": 0, "broker/estate/estatetest": 1, "broker/interest": 0, "broker/relay": 1, "broker/relay/relaytest": 6,
	"broker/arbiter": 2, "broker/order": 3, "broker": 4, "broker/brokertest": 5,

	"bridge/signalr/protocol": 0, "bridge/signalr/transport": 1, "bridge/signalr": 2, "bridge/signalr/signalrtest": 3, "bridge/signalr/conformance/testhub": 4, "bridge/signalr/conformance": 5,

	"drivers/media": 0, "drivers": 1,

	"scheduler/rule": 0, "scheduler": 10,

	"bridge/mapping": 10, "bridge/history": 10, "bridge/presence": 11, "bridge/forward": 11, "bridge/replay": 10, "bridge/replay/replaytest": 11, "bridge/seen": 10, "bridge/absence": 11, "bridge/inbox": 10, "bridge/backplane": 10, "bridge/backplane/backplanetest": 11, "bridge/census": 11, "bridge/window": 12,
	"bridge/registry": 12, "bridge/rollout": 12, "bridge/redis": 12, "bridge/external": 12, "bridge/courier": 12,
	"bridge": 13, "bridge/devicehub": 13, "bridge/api": 13, "bridge/dashboard": 13,

	"firmware/uplink": 10, "firmware/fetch": 10, "firmware/share": 11, "firmware/update": 10, "firmware/leader/election": 1, "firmware/leader/trunk": 11, "firmware/leader": 12, "firmware/leader/host": 13, "firmware/leader/office": 13, "firmware": 12,

	"configs/systemd": 0,

	"cmd/internal/release": 0, "cmd/internal/settings": 19, "cmd/internal/conf": 20, "cmd/internal/voice": 20, "cmd/internal/backup": 20, "cmd/internal/floors": 20, "cmd/internal/heard": 20, "cmd/internal/counted": 20, "cmd/internal/garbage": 20, "cmd/internal/cli": 21, "cmd/internal/hubd": 21, "cmd/internal/viewd": 21, "cmd/internal/deviced": 21, "cmd/internal/leaderd": 21,
	"cmd/internal/rungs": 23, "cmd/internal/rungs/climb": 24, "cmd/internal/rungs/probe": 22, "cmd/internal/rungs/proof": 0, "cmd/internal/rungs/scope": 0,
	"cmd/internal/demo": 22, "cmd/internal/e2e": 23, "cmd/internal/e2e/programs": 20, "cmd": 30,

	"cmd/tacet-bench/wire": 20, "cmd/tacet-bench/servers": 22, "cmd/tacet-bench/fault": 23, "cmd/tacet-bench/player": 22,
}

// ban is an arrow that no rank forbids. A path stands for all below it.
type ban struct {
	from, to string
	but      []string // paths below to that are allowed
	why      string
}

var bans = []ban{
	{"bridge", "scheduler", nil, "cmd wires them"},
	{"bridge", "firmware", nil, "cmd wires them"},
	{"bridge", "drivers", nil, "cmd wires them"},
	{"scheduler", "bridge", nil, "cmd wires them"},
	{"scheduler", "firmware", nil, "cmd wires them"},
	{"scheduler", "drivers", nil, "cmd wires them"},
	{"firmware", "bridge", nil, "cmd wires them"},
	{"firmware", "scheduler", nil, "cmd wires them"},
	{"firmware", "drivers", nil, "a driver fits an interface of firmware"},
	{"broker", "bridge", nil, "the broker is below"},
	{"broker", "drivers", nil, "the broker is below"},
	{"drivers", "", []string{"drivers/media", "drivers/audio/audiotest"}, "drivers import none of our packages"},
	{"scheduler/rule", "", nil, "it is pure"},
	{"bridge/signalr", "", []string{"bridge/signalr"}, "a library that knows nothing of MQTT or areas"},
}

// confined says in which packages a dependency may be imported: the paths, and
// all below them. A dependency that is not listed may be imported nowhere.
// Tests, and packages of helpers for tests, may import any client.
var confined = map[string][]string{
	"github.com/mochi-mqtt/server/v2":     {"broker", "cmd/tacet-bench/servers"}, // the benchmark's anchor is the library as it is
	"github.com/eclipse/paho.mqtt.golang": {"bridge/external", "firmware/uplink"},
	"github.com/eclipse/paho.golang":      {"bridge/external", "firmware/uplink"},
	"github.com/gorilla/websocket":        {"bridge/signalr/transport", "cmd/tacet-bench"}, // the benchmark's anchor is a plain server on it
	"github.com/redis/rueidis":            {"bridge/redis", "cmd/tacet-bench"},             // the benchmark's anchor is the library as it is
	"go.etcd.io/bbolt":                    {"broker/store"},
	"periph.io/x/conn":                    {"drivers"},
	"periph.io/x/devices":                 {"drivers/sensor"},
	"periph.io/x/host/v3/gpioioctl":       {"drivers/gpio"}, // of host nothing else: its Init starts bcm283x, which is not for a Raspberry Pi 5
	"periph.io/x/host/v3/sysfs":           {"drivers/sensor"},
	"github.com/gopxl/beep":               {"drivers/media"},
	"github.com/jfreymuth/pulse":          {"drivers/audio"},
	"github.com/hashicorp/memberlist":     {"firmware/leader"},
	"github.com/hashicorp/mdns":           {"firmware/leader"},
	"github.com/prometheus/client_golang": {"cmd/internal/hubd"},
	"github.com/tinylib/msgp":             {"bridge/signalr/protocol"},
	"google.golang.org/protobuf":          {"bridge/mapping"}, // the wire format alone, of Sparkplug
	"github.com/golang-jwt/jwt":           {"broker/auth"},
	"github.com/coreos/go-oidc":           {"broker/auth", "cmd/internal/hubd"},
	"github.com/spf13":                    {"cmd"},
	"go.yaml.in/yaml/v3":                  {"cmd/internal/settings"},
	"golang.org/x/crypto":                 {"broker/auth"},
	"golang.org/x/mod":                    {"firmware/update"}, // the order of versions
	"golang.org/x/sync":                   {""},
	"golang.org/x/sys":                    {""},
	"golang.org/x/term":                   {"cmd/internal/cli"},
	"golang.org/x/time":                   {""},
}

// standardOnly are the packages that import nothing but the standard library,
// and of ours what the list says.
var standardOnly = map[string][]string{
	"broker/area": nil,
	"broker/clip": nil,
}

// logKeys are the keys of log lines.
var logKeys = strings.Fields("area location device work lease topic group conn node rule who err dur n")

// The length at which a file is split; a test's, which is mostly a table of
// cases, may be longer.
const (
	maxLines     = 600
	maxTestLines = 900
)

// below tells whether a package is at path or below it; everything is below "".
func below(pkg, path string) bool {
	return path == "" || pkg == path || strings.HasPrefix(pkg, path+"/")
}

// floorOf is the rank of a package, -1 where the tables do not know it.
func floorOf(pkg string) int {
	for path := pkg; ; {
		if r, ok := rank[path]; ok {
			return r
		}
		cut := strings.LastIndexByte(path, '/')
		if cut < 0 {
			return -1
		}
		path = path[:cut]
	}
}
