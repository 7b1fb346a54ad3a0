package cli

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/release"
)

const (
	north = `{"id":"north","name":"North \u001b[31mWing","source":"config","locations":[{"id":"1","name":"Gate 1","device":null},{"id":"2","name":"Gate 2","device":null}],"members":["gate-1","gate-2"],
"busy":{"v":1,"area":"north","state":"held","holder":"gate-1"},"queue":[{"order":"o-1","device":"gate-1","state":"playing","estimated_start":null},{"order":"o-2","device":null,"state":"waiting","estimated_start":"2026-11-21T10:00:34.000Z"}],
"leader":{"mode":"local","host":"gate-1","addr":"10.0.0.5:1883","web":"http://:8080","term":80,"since":"2026-11-21T10:00:00.000Z","live":false,"owes":2,"split":{"at":"2026-11-21T10:00:00.000Z","over":null,"leader":"gate-1","term":80,"own":128}},
"peers":{"rev":12,"members":[{"device":"gate-1","addr":"10.0.0.5:7946","told":true,"rev":12,"leads":true,"follows":"leader","who":"gate-1","hub":true},{"device":"gate-2","told":true,"rev":11,"follows":"via","who":"gate-1"},{"device":"gate-3","told":false}]},"seq":1}`
	south = `{"id":"south","name":"South","source":"seen","locations":[],"members":[],"busy":null,"queue":[],"seq":1}`
)

// abc is the hash of a clip.
const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

// hub1 is a node of the hub, the one that is asked.
const hub1 = `{"node":"hub-1","self":true,"kind":"hub","state":"ready","version":"v1","started_at":"2026-11-21T10:00:00.000Z","http":"http://127.0.0.1:8080","mqtt":"mqtt://127.0.0.1:1883","connections":{"web":3,"mqtt":4},"areas":["north","south"],"messages_s":2.25,"memory_bytes":1000,"backplane":{"mode":"redis","connected":true,"missed":1,"losses":2},"since":"2026-11-21T10:00:00.000Z","starts":1,"heard_at":"2026-11-21T10:00:09.000Z","lag_ms":0,"gone_at":null}`

// hub speaks the part of the contract that the commands use.
type hub struct {
	mu    sync.Mutex
	seen  []string // "METHOD path?query token body"
	end   string   // how an order ends
	polls int      // until it has ended
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, strings.TrimSpace(fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Authorization"), " ", string(body))))
	switch r.Method + " " + strings.TrimPrefix(r.URL.Path, "/api/v1") {
	case "GET /areas":
		if r.URL.Query().Get("after") == "" {
			fmt.Fprintf(w, `{"items":[%s],"next":"p2"}`, north)
		} else {
			fmt.Fprintf(w, `{"items":[%s],"next":null}`, south)
		}
	case "GET /areas/north":
		fmt.Fprintln(w, north)
	case "POST /orders":
		h.order(w, body)
	case "GET /orders/o-7":
		h.polls--
		state, reason := "playing", "null"
		if h.polls < 0 {
			state = h.end
			if state != "played" {
				reason = `"no_device"`
			}
		}
		fmt.Fprintf(w, `{"id":"o-7","state":%q,"reason":%s,"priority":"high","ended_at":"2026-11-21T10:00:35.000Z","history":[{"state":"accepted","at":"2026-11-21T10:00:00.000Z","device":null,"reason":null}]}`, state, reason)
	case "POST /stop", "POST /areas/north/stop":
		fmt.Fprint(w, `{"stopped":["o-1"],"cancelled":["o-2"]}`)
	case "GET /areas/north/key":
		fmt.Fprint(w, `{"area":"north","key":"AQEB"}`)
	case "POST /areas/north/key":
		fmt.Fprint(w, `{"area":"north","key":"AgIC"}`)
	case "GET /devices":
		fmt.Fprint(w, `{"items":[{"id":"gate-1","name":"Gate 1","kind":"player","via":"mqtt","area":"north","location":"1","presence":"online","state":"idle","last_seen":"2026-11-21T10:00:00.000Z"}],"next":null}`)
	case "GET /devices/gate-1":
		fmt.Fprint(w, `{"id":"gate-1","name":"Gate 1","kind":"player","via":"mqtt","area":"north","location":"1","presence":"online","state":"idle","boot":41,"volume":70,"muted":false}`)
	case "GET /devices/gate-2":
		fmt.Fprint(w, `{"id":"gate-2","name":"Gate 2","kind":"player","via":"mqtt","area":"north","presence":"offline","state":null}`)
	case "GET /devices/hall":
		fmt.Fprint(w, `{"id":"hall","name":"hall","kind":"sensor","via":"mqtt","area":"north","presence":"online","state":null}`)
	case "GET /topics":
		fmt.Fprint(w, `{"items":[{"topic":"tacet/device/gate-1/status","payload":`+gateStatus+`,"retained":true,"qos":1,"ts":1}],"next":null}`)
	case "POST /topics":
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprint(w, `{"topic":"tacet/device/gate-1/cmd/identify"}`)
	case "POST /clips":
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"sha256":"`+abc+`","bytes":4,"duration_ms":1500,"type":"audio/wav"}`)
	case "GET /clips":
		fmt.Fprint(w, `{"items":[{"sha256":"`+abc+`","bytes":4,"duration_ms":1500,"type":"audio/wav","name":"gong.wav","source":"upload","used_at":"2026-11-21T10:00:00.000Z"}],"next":null}`)
	case "DELETE /clips/" + abc:
		w.WriteHeader(http.StatusNoContent)
	case "GET /schedules":
		fmt.Fprint(w, `{"items":[{"id":"boarding","cron":"*/5 * * * *","time_zone":"Europe/London","work":{"to":{"location":"1"}},"enabled":true,"source":"config","next":"2026-11-21T10:05:00.000Z","last":null}],"next":null}`)
	case "GET /nodes":
		fmt.Fprint(w, `{"items":[`+hub1+`,{"node":"hub-2","self":false,"kind":"hub","state":"gone","version":"v1","started_at":"2026-11-21T09:00:00.000Z","http":null,"mqtt":null,"connections":{"web":0,"mqtt":0},"areas":[],"messages_s":0,"memory_bytes":0,"backplane":{"mode":"redis","connected":true,"missed":0,"losses":0},"since":"2026-11-21T09:00:00.000Z","starts":2,"heard_at":"2026-11-21T10:00:00.000Z","lag_ms":0.7,"gone_at":"2026-11-21T10:00:05.000Z"}],"next":null}`)
	case "GET /nodes/hub-1":
		fmt.Fprintln(w, hub1)
	case "GET /credentials":
		fmt.Fprint(w, `{"items":[{"device":"gate-12","area":"north","state":"waiting","created_at":null,"created_by":"ann","code_expires_at":"2026-11-21T10:15:00.000Z","publish":["x/#"],"subscribe":[]}],"next":null}`)
	case "POST /enrolments":
		w.WriteHeader(http.StatusCreated)
		if bytes.Contains(body, []byte("gate-13")) {
			fmt.Fprint(w, `{"code":"CCCC-DDDD","device":"gate-13","area":"north","expires_at":"2026-11-21T10:15:00.000Z","replaced":true}`)
			return
		}
		fmt.Fprint(w, `{"code":"AAAA-BBBB","device":"gate-12","area":"north","expires_at":"2026-11-21T10:15:00.000Z"}`)
	case "DELETE /devices/gate-12/credential", "DELETE /devices/gate-12", "DELETE /tokens/ci", "DELETE /areas/nrth":
		w.WriteHeader(http.StatusNoContent)
	case "GET /tokens":
		fmt.Fprint(w, `{"items":[{"name":"ci","tenant":"default","roles":["operator"],"areas":["north","south"],"created_at":"2026-11-21T10:00:00.000Z","created_by":"ann","expires_at":null}],"next":null}`)
	case "POST /tokens":
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"token":"tct_S3CRET","name":"ci","tenant":"default","roles":["operator"],"areas":["*"],"created_at":"2026-11-21T10:00:00.000Z","created_by":"ann","expires_at":null}`)
	case "GET /areas/broken":
		w.WriteHeader(http.StatusBadGateway)
	default:
		problem(w, 404, "not_found", "no "+r.URL.Path)
	}
}

const gateStatus = `{"v":1,"online":true,"boot":41,"conn":1,"mid":"m","area":"north","location":"1","name":"Gate 1","state":"idle","volume":70,"muted":false,"audio":"alsa","version":"v1",` +
	`"health":{"boot_reason":"crash","safe_mode":false,"clock":"synced","uptime_s":3700,"audio_device":"hw:0","xruns":2,"pins":{"amp_enable":"GPIO22"},"temperature_c":51.5,"under_voltage":null,"faults":{"lamp":"busy\nheld"},"last_error":"x"}}`

func (h *hub) order(w http.ResponseWriter, body []byte) {
	var o struct {
		To struct{ Area string }
	}
	if json.Unmarshal(body, &o) == nil && o.To.Area == "west" {
		problem(w, 422, "unknown_area", "no area west")
		return
	}
	if o.To.Area == "nowhere" { // as the hub has it
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"code":"unknown_area","detail":"no area \"nowhere\"","errors":[{"field":"to.area","message":"no area \"nowhere\""}]}`)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprint(w, `{"id":"o-7","state":"waiting","estimated_start":"2026-11-21T10:00:34.000Z","after":"o-2"}`)
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"urn:tacet:error:%s","code":%q,"title":"t","status":%d,"detail":%q,"errors":[{"field":"to.area","message":"is not there"}]}`, code, code, status, detail)
}

// run executes one command line against a hub.
func run(t *testing.T, env map[string]string, args ...string) (exit int, stdout, stderr string) {
	t.Helper()
	root := &cobra.Command{Use: "tacet"}
	Add(root, Env{Getenv: func(k string) string { return env[k] }, Version: "v1.2.3", Environ: func() []string {
		var out []string
		for k, v := range env {
			out = append(out, k+"="+v)
		}
		return out
	}})
	var out, errs bytes.Buffer
	exit = Execute(t.Context(), root, args, &out, &errs)
	return exit, out.String(), errs.String()
}

func TestCommands(t *testing.T) {
	h := &hub{}
	srv := httptest.NewServer(h)
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "gong.wav")
	if err := os.WriteFile(file, []byte("RIFF"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		args   []string
		end    string
		exit   int
		stdout string
		stderr string
		seen   string // the last request; empty: not checked
	}{
		"area list": {args: []string{"area", "list"}, stdout: "" +
			"ID     NAME              STATE  HOLDER  WAITING  LOCATIONS  MEMBERS        SOURCE\n" +
			"north  North ?[31mWing   held   gate-1  1        1,2        gate-1,gate-2  config\n" +
			"south  South             -      -       0        -          -              seen\n",
			seen: "GET /api/v1/areas?after=p2&limit=1000"},
		"area key": {args: []string{"area", "key", "north"}, stdout: "AQEB\n", seen: "GET /api/v1/areas/north/key"},
		"area show": {args: []string{"area", "show", "north"}, stdout: "" +
			"KEY VALUE\nid north\nname North ?[31mWing\nsource config\nstate held\nholder gate-1\nwaiting 1\ntopology -\nleader gate-1, silent\nterm 80\nsince 2026-11-21T10:00:00.000Z\nbroker 10.0.0.5:1883\nweb http://10.0.0.5:8080\nowes 2\n" +
			"split 2026-11-21T10:00:00.000Z not over yet: gate-1 by term 80, the hub by 128\nper node -\nmode -\npolicy -\nlease 0s\nvolume 0\nmembers gate-1,gate-2\n\n" +
			"DEVICE ROLE UPLINK ROSTER ADDRESS\ngate-1 leads leader gate-1 12, newest 10.0.0.5:7946\ngate-2 member via gate-1, no hub 11 -\ngate-3 not known - - -\n"},
		"another key":       {args: []string{"area", "key", "north", "--rotate"}, stdout: "AgIC\n", seen: "POST /api/v1/areas/north/key"},
		"key of no id":      {args: []string{"area", "key", "a b"}, exit: 2, stderr: "tacet: usage: invalid: area id \"a b\" is not 1 to 64 of A-Z a-z 0-9 _ -\n"},
		"key as JSON":       {args: []string{"area", "key", "north", "--json"}, stdout: `{"area":"north","key":"AQEB"}` + "\n"},
		"area list as JSON": {args: []string{"area", "list", "--json"}, stdout: `{"items":[` + north + `],"next":"p2"}` + "\n"},
		"queue": {args: []string{"queue"}, stdout: "" +
			"AREA   ORDER  STATE    DEVICE  ESTIMATED_START\nnorth  o-1    playing  gate-1  -\nnorth  o-2    waiting  -       2026-11-21T10:00:34.000Z\n"},
		"queue of one": {args: []string{"queue", "--area", "north"}, seen: "GET /api/v1/areas/north",
			stdout: "AREA   ORDER  STATE    DEVICE  ESTIMATED_START\nnorth  o-1    playing  gate-1  -\nnorth  o-2    waiting  -       2026-11-21T10:00:34.000Z\n"},
		"queue as JSON": {args: []string{"queue", "--area", "north", "--json"}, stdout: north + "\n"},
		"device list": {args: []string{"device", "list"}, stdout: "" +
			"ID      NAME    KIND    VIA   AREA   LOCATION  PRESENCE  STATE  LAST_SEEN\ngate-1  Gate 1  player  mqtt  north  1         online    idle   2026-11-21T10:00:00.000Z\n"},
		"schedule list": {args: []string{"schedule", "list"}, stdout: "" +
			"ID        RULE         TIME_ZONE      TO          ENABLED  NEXT                      LAST  SOURCE\nboarding  */5 * * * *  Europe/London  location 1  true     2026-11-21T10:05:00.000Z  -     config\n"},
		"node list": {args: []string{"node", "list"}, stdout: "" +
			"NODE STATE AREAS WEB MQTT MESSAGES_S LAG_MS STARTED GONE VERSION\nhub-1* ready north,south 3 4 2.2 - 2026-11-21T10:00:00.000Z - v1\nhub-2 gone - 0 0 0.0 0.7 2026-11-21T09:00:00.000Z 2026-11-21T10:00:05.000Z v1\n"},
		"node show": {args: []string{"node", "show", "hub-1"}, stdout: "" +
			"KEY VALUE\nnode hub-1\nstate ready\nkind hub\nversion v1\nstarted 2026-11-21T10:00:00.000Z\nhttp http://127.0.0.1:8080\nmqtt mqtt://127.0.0.1:1883\nareas north,south\nweb_connections 3\nmqtt_connections 4\nmessages_s 2.2\nmemory_bytes 1000\n" +
			"backplane redis\nbackplane_connected true\nbackplane_missed 1\nbackplane_losses 2\nseen_since 2026-11-21T10:00:00.000Z\nstarts_seen 1\nheard 2026-11-21T10:00:09.000Z\nlag_ms -\ngone -\n"},
		"node as JSON": {args: []string{"node", "show", "hub-1", "--json"}, stdout: hub1 + "\n"},
		"no such node": {args: []string{"node", "show", "hub-9"}, exit: 4, stderr: "tacet: not_found: no /api/v1/nodes/hub-9; to.area: is not there\n"},
		"order show":   {args: []string{"order", "show", "o-7"}, end: "played", stdout: "AT                        STATE     DEVICE  REASON\n2026-11-21T10:00:00.000Z  accepted  -       -\n"},
		"stop":         {args: []string{"stop"}, stdout: "ORDER  DONE\no-1    stopped\no-2    cancelled\n", seen: "POST /api/v1/stop"},
		"stop what plays": {args: []string{"stop", "--area", "north", "--waiting=false"}, stdout: "ORDER  DONE\no-1    stopped\no-2    cancelled\n",
			seen: "POST /api/v1/areas/north/stop?waiting=false"},
		"say": {args: []string{"say", "--area", "north", "hello"}, stdout: "o-7 waiting 2026-11-21T10:00:34.000Z\n",
			seen: `POST /api/v1/orders  {"to":{"area":"north"},"message":"hello"}`},
		"say with all": {args: []string{"say", "--location", "1", "--priority", "high", "--chime", "two-tone", "hello"}, stdout: "o-7 waiting 2026-11-21T10:00:34.000Z\n",
			seen: `POST /api/v1/orders  {"to":{"location":"1"},"message":"hello","chime":"two-tone","priority":"high"}`},
		"say a clip": {args: []string{"say", "--area", "north", "--clip", abc}, stdout: "o-7 waiting 2026-11-21T10:00:34.000Z\n",
			seen: `POST /api/v1/orders  {"to":{"area":"north"},"clip":"sha256:` + abc + `"}`},
		"clip add": {args: []string{"clip", "add", file}, stdout: "sha256:" + abc + " 1.5s\n", seen: "POST /api/v1/clips?name=gong.wav  RIFF"},
		"clip list": {args: []string{"clip", "list"}, stdout: "" +
			"CLIP" + strings.Repeat(" ", 69) + "LENGTH  BYTES  TYPE       SOURCE  USED                      NAME\n" +
			"sha256:" + abc + "  1.5s    4      audio/wav  upload  2026-11-21T10:00:00.000Z  gong.wav\n"},
		"clip remove": {args: []string{"clip", "remove", "sha256:" + abc}, seen: "DELETE /api/v1/clips/" + abc},
		"say and wait": {args: []string{"say", "--device", "gate-1", "--wait", "hello"}, end: "played",
			stdout: "o-7 waiting 2026-11-21T10:00:34.000Z\no-7 played 2026-11-21T10:00:35.000Z\n"},
		"say, not played": {args: []string{"say", "--area", "north", "--wait", "hello"}, end: "failed", exit: 1,
			stdout: "o-7 waiting 2026-11-21T10:00:34.000Z\no-7 failed 2026-11-21T10:00:35.000Z\n", stderr: "tacet: failed: order o-7: no_device\n"},
		"say as JSON": {args: []string{"say", "--area", "north", "--wait", "--json", "hello"}, end: "expired", exit: 1, stderr: "tacet: expired: order o-7: no_device\n",
			stdout: `{"id":"o-7","state":"expired","reason":"no_device","priority":"high","ended_at":"2026-11-21T10:00:35.000Z","history":[{"state":"accepted","at":"2026-11-21T10:00:00.000Z","device":null,"reason":null}]}` + "\n"},
		"device show": {args: []string{"device", "show", "gate-1"}, stdout: "" +
			"KEY             VALUE\n" +
			"id              gate-1\n" +
			"name            Gate 1\n" +
			"area            north\n" +
			"location        1\n" +
			"presence        online\n" +
			"state           idle\n" +
			"volume          70\n" +
			"muted           false\n" +
			"start           41\n" +
			"version         v1\n" +
			"audio           alsa\n" +
			"started by      crash\n" +
			"safe mode       false\n" +
			"clock           synced\n" +
			"told after      1h1m40s\n" +
			"audio device    hw:0\n" +
			"xruns           2\n" +
			"temperature     51.5\n" +
			"under-voltage   -\n" +
			"last error      x\n" +
			"pin amp_enable  GPIO22\n" +
			"fault lamp      busy; held\n", seen: "GET /api/v1/topics?filter=tacet%2Fdevice%2Fgate-1%2Fstatus"},
		"device show as JSON": {args: []string{"device", "show", "gate-1", "--json"}, stdout: gateStatus + "\n"},
		"device show nobody":  {args: []string{"device", "show", "gate-9"}, exit: 4, stderr: "tacet: not_found: no /api/v1/devices/gate-9; to.area: is not there\n"},
		"identify":            {args: []string{"device", "identify", "gate-1"}, seen: `POST /api/v1/topics  {"payload":null,"qos":1,"topic":"tacet/device/gate-1/cmd/identify"}`},
		"restart":             {args: []string{"device", "restart", "gate-1"}, seen: `POST /api/v1/topics  {"payload":null,"qos":1,"topic":"tacet/device/gate-1/cmd/restart"}`},
		"identify offline":    {args: []string{"device", "identify", "gate-2"}, exit: 1, stderr: "tacet: offline: gate-2 is offline\n"},
		"identify a sensor":   {args: []string{"device", "identify", "hall"}, exit: 1, stderr: "tacet: no_commands: hall is no device that takes commands\n"},
		"identify nobody":     {args: []string{"device", "identify", "gate-9"}, exit: 4, stderr: "tacet: not_found: no /api/v1/devices/gate-9; to.area: is not there\n"},
		"enrol as JSON": {args: []string{"device", "enrol", "gate-12", "--area", "north", "--json"}, seen: `POST /api/v1/enrolments  {"device":"gate-12","area":"north"}`,
			stdout: `{"code":"AAAA-BBBB","device":"gate-12","area":"north","expires_at":"2026-11-21T10:15:00.000Z"}` + "\n"},
		"enrol with rules": {args: []string{"device", "enrol", "gate-12", "--area", "north", "--publish", "home/a,b/#", "--publish", "!x", "--subscribe", "y", "--json"},
			seen:   `POST /api/v1/enrolments  {"device":"gate-12","area":"north","publish":["home/a,b/#","!x"],"subscribe":["y"]}`,
			stdout: `{"code":"AAAA-BBBB","device":"gate-12","area":"north","expires_at":"2026-11-21T10:15:00.000Z"}` + "\n"},
		"device credentials": {args: []string{"device", "credentials"}, stdout: "" +
			"DEVICE   STATE    AREA   CREATED_AT  CREATED_BY  CODE_EXPIRES_AT           PUBLISH  SUBSCRIBE\ngate-12  waiting  north  -           ann         2026-11-21T10:15:00.000Z  x/#      -\n"},
		"enrol nobody":  {args: []string{"device", "enrol"}, exit: 2, stderr: "tacet: usage: tacet device enrol takes 1 argument, not 0; usage: tacet device enrol DEVICE --area AREA [flags]\n"},
		"enrol nowhere": {args: []string{"device", "enrol", "gate-12"}, exit: 2, stderr: "tacet: usage: enrol needs --area\n"},
		"revoke":        {args: []string{"device", "revoke", "gate-12"}, seen: "DELETE /api/v1/devices/gate-12/credential"},
		"area remove":   {args: []string{"area", "remove", "nrth"}, seen: "DELETE /api/v1/areas/nrth"},
		"remove":        {args: []string{"device", "remove", "gate-12"}, seen: "DELETE /api/v1/devices/gate-12"},
		"token create": {args: []string{"token", "create", "ci", "--role", "operator"}, stdout: "tct_S3CRET\n",
			seen: `POST /api/v1/tokens  {"name":"ci","roles":["operator"]}`},
		"token with all": {args: []string{"token", "create", "ci", "--role", "operator,viewer", "--area", "north", "--expires", "720h"}, stdout: "tct_S3CRET\n",
			seen: `POST /api/v1/tokens  {"name":"ci","roles":["operator","viewer"],"areas":["north"],"expires":"720h"}`},
		"token without role": {args: []string{"token", "create", "ci"}, exit: 2, stderr: "tacet: usage: create needs --role: viewer, announcer, operator or admin\n"},
		"token delete":       {args: []string{"token", "delete", "ci"}, seen: "DELETE /api/v1/tokens/ci"},
		"token list": {args: []string{"token", "list"},
			stdout: "NAME ROLES AREAS TENANT CREATED_AT CREATED_BY EXPIRES_AT\nci operator north,south default 2026-11-21T10:00:00.000Z ann -\n"},
		"hash of no password": {args: []string{"user", "hash"}, exit: 2, stderr: "tacet: usage: hash reads the password from standard input: say so with --stdin\n"},
		"refused":             {args: []string{"say", "--area", "west", "hello"}, exit: 4, stderr: "tacet: unknown_area: no area west; to.area: is not there\n"},
		"not found":           {args: []string{"order", "show", "o-9"}, exit: 4, stderr: "tacet: not_found: no /api/v1/orders/o-9; to.area: is not there\n"},
		"the hub's fault":     {args: []string{"queue", "--area", "broken"}, exit: 1, stderr: "tacet: http_502: Bad Gateway\n"},
		"no target":           {args: []string{"say", "hello"}, exit: 2, stderr: "tacet: usage: say needs exactly one of --area, --location and --device\n"},
		"two targets":         {args: []string{"say", "--area", "a", "--device", "d", "hello"}, exit: 2, stderr: "tacet: usage: say needs exactly one of --area, --location and --device\n"},
		"text and clip":       {args: []string{"say", "--area", "a", "--clip", abc, "hello"}, exit: 2, stderr: "tacet: usage: tacet say takes a text or a clip, not both\n"},
		"no clip":             {args: []string{"say", "--area", "a", "--clip", "x"}, exit: 2, stderr: "tacet: usage: --clip: clip name \"x\" is not sha256: and 64 hexadecimal digits in lower case\n"},
		"no file":             {args: []string{"clip", "add", "/no/such"}, exit: 2, stderr: "tacet: usage: open /no/such: no such file or directory\n"},
		"a directory":         {args: []string{"clip", "add", "/tmp"}, exit: 2, stderr: "tacet: usage: /tmp is a directory, not a file\n"},
		"said once":           {args: []string{"say", "--area", "nowhere", "hello"}, exit: 4, stderr: "tacet: unknown_area: no area \"nowhere\"\n"},
		"--version":           {args: []string{"--version"}, stdout: "tacet " + release.Build("v1.2.3") + "\n"},
		"no text":             {args: []string{"say", "--area", "north"}, exit: 2, stderr: "tacet: usage: tacet say needs a text; usage: tacet say (--area A | --location L | --device D) (TEXT | --clip CLIP) [flags]\n"},
		"priority":            {args: []string{"say", "--area", "north", "--priority", "low", "x"}, exit: 2, stderr: "tacet: usage: --priority: \"low\" is none of background, normal, high, emergency\n"},
		"unknown flag":        {args: []string{"queue", "--colour"}, exit: 2, stderr: "tacet: usage: unknown flag: --colour\n"},
		"unknown command":     {args: []string{"quue"}, exit: 2, stderr: "tacet: usage: unknown command \"quue\" of tacet; did you mean queue?\n"},
		"unknown below":       {args: []string{"area", "lst"}, exit: 2, stderr: "tacet: usage: unknown command \"lst\" of tacet area; did you mean list?\n"},
		"unknown flag, near":  {args: []string{"queue", "--aera", "north"}, exit: 2, stderr: "tacet: usage: unknown flag: --aera; did you mean --area?\n"},
		"no address":          {args: []string{"queue", "--url", "hub.local"}, exit: 2, stderr: "tacet: usage: \"hub.local\" is not the address of a hub, such as http://127.0.0.1:8080\n"},
		"no token in file":    {args: []string{"queue", "--token-file", "/nonexistent"}, exit: 2, stderr: "tacet: usage: --token-file: open /nonexistent: no such file or directory\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h.end, h.polls, h.seen = c.end, 1, nil
			exit, stdout, stderr := run(t, map[string]string{"TACET_URL": srv.URL}, c.args...)
			if exit != c.exit || trimCells(stdout) != trimCells(c.stdout) || stderr != c.stderr {
				t.Errorf("%q: got exit %d\n%s\nand\n%s\nwant exit %d\n%s\nand\n%s", c.args, exit, stdout, stderr, c.exit, c.stdout, c.stderr)
			}
			if c.seen != "" && (len(h.seen) == 0 || h.seen[len(h.seen)-1] != c.seen) {
				t.Errorf("%q: the hub saw %q, want %q", c.args, h.seen, c.seen)
			}
		})
	}
}

// trimCells makes the space between columns one space.
func trimCells(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	return strings.Join(lines, "\n")
}

func TestUnreachable(t *testing.T) {
	const url = "http://127.0.0.1:1" // where nobody listens: a port that was closed may be somebody's again
	exit, _, stderr := run(t, nil, "queue", "--url", url)
	if exit != 3 || !strings.HasPrefix(stderr, "tacet: unreachable: "+url+": ") {
		t.Errorf("got %d, %q", exit, stderr)
	}
}

func TestFindsTheHub(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "ready.json"), []byte(`{"http":"http://127.0.0.1:5"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		flags hubFlags
		env   map[string]string
		want  string // empty: none
	}{
		"flag":            {hubFlags{url: "http://a", data: data}, map[string]string{"TACET_URL": "http://b"}, "http://a"},
		"environment":     {hubFlags{data: data}, map[string]string{"TACET_URL": "http://b"}, "http://b"},
		"data":            {hubFlags{data: data}, nil, "http://127.0.0.1:5"},
		"data by env":     {hubFlags{}, map[string]string{"TACET_DATA": data}, "http://127.0.0.1:5"},
		"data, not ready": {hubFlags{data: t.TempDir()}, nil, ""},
		"nothing said":    {hubFlags{}, map[string]string{"TACET_DATA": t.TempDir()}, "http://127.0.0.1:8080"},
	} {
		got, err := c.flags.find(Env{Getenv: func(k string) string { return c.env[k] }})
		if got != c.want || (err != nil) != (c.want == "") || err != nil && exitOf(err) != ExitUnreachable {
			t.Errorf("%s: got %s, %v, want %s", name, got, err, c.want)
		}
	}
}

func TestToken(t *testing.T) {
	h := &hub{}
	srv := httptest.NewServer(h)
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"TACET_URL": srv.URL, "TACET_TOKEN": "of-env"}
	run(t, env, "stop")
	run(t, env, "stop", "--token-file", file)
	want := []string{"POST /api/v1/stop Bearer of-env", "POST /api/v1/stop Bearer of-file"}
	if strings.Join(h.seen, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", h.seen, want)
	}
}

// TestUserLogout ends the token that it is given, and none that it is not.
func TestUserLogout(t *testing.T) {
	var seen []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer srv.Close()
	if exit, stdout, stderr := run(t, map[string]string{"TACET_URL": srv.URL}, "user", "logout"); exit != ExitUsage || !strings.Contains(stderr, "TACET_TOKEN") || stdout != "" {
		t.Errorf("without a token: exit %d, %q, %q", exit, stdout, stderr)
	}
	if exit, stdout, stderr := run(t, map[string]string{"TACET_URL": srv.URL, "TACET_TOKEN": "of-env"}, "user", "logout"); exit != ExitOK || stdout+stderr != "" {
		t.Errorf("exit %d, %q, %q", exit, stdout, stderr)
	}
	if want := "POST /auth/logout Bearer of-env"; strings.Join(seen, "\n") != want {
		t.Errorf("asked %q, want %q", seen, want)
	}
}

// TestPrivateAuthority: a hub whose certificate is of an authority of the house is
// known by that alone.
func TestPrivateAuthority(t *testing.T) {
	srv := httptest.NewTLSServer(&hub{})
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env  string
		args []string
		exit int
	}{
		{"", nil, ExitUnreachable}, {"", []string{"--ca-file", ca}, ExitOK}, {ca, nil, ExitOK},
		{"", []string{"--ca-file", "/nonexistent"}, ExitUsage}, {"", []string{"--ca-file", "cli_test.go"}, ExitUsage},
	} {
		if exit, _, stderr := run(t, map[string]string{"TACET_URL": srv.URL, "TACET_CA_FILE": c.env}, append([]string{"stop"}, c.args...)...); exit != c.exit {
			t.Errorf("%q %q: exit %d, want %d: %s", c.env, c.args, exit, c.exit, stderr)
		}
	}
}

// TestRemedies: who asks in the wrong way hears what to do.
func TestRemedies(t *testing.T) {
	stranger := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusUnauthorized, "unauthorized", "sign in")
	})
	tlsd, plain := httptest.NewTLSServer(stranger), httptest.NewServer(stranger)
	defer tlsd.Close()
	defer plain.Close()
	tlsd.Config.ErrorLog = log.New(io.Discard, "", 0)
	for url, want := range map[string]string{
		tlsd.URL: "; --ca-file names the file of an authority that is not the system's\n",
		strings.Replace(tlsd.URL, "https", "http", 1):  ": it speaks https://\n",
		strings.Replace(plain.URL, "http", "https", 1): "; it speaks http://\n",
		plain.URL: "(TACET_TOKEN or --token-file; tacet user login prints one)\n",
	} {
		if exit, _, stderr := run(t, nil, "queue", "--url", url); exit == ExitOK || !strings.HasSuffix(stderr, want) {
			t.Errorf("%s: exit %d, %q, want %q", url, exit, stderr, want)
		}
	}
}

func TestVersion(t *testing.T) {
	if exit, out, _ := run(t, nil, "version"); exit != 0 || !strings.HasPrefix(out, "tacet v1.2.3 go1.") {
		t.Errorf("got %d, %q", exit, out)
	}
	var v map[string]string
	if _, out, _ := run(t, nil, "version", "--json"); json.Unmarshal([]byte(out), &v) != nil || v["version"] != "v1.2.3" {
		t.Errorf("got %q", out)
	}
	if release.Version() == "" {
		t.Error("no version of the build")
	}
}

func TestConfigCheck(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.yaml")
	for _, c := range []struct {
		text           string
		exit           int
		stdout, stderr string
	}{
		{"areas: [{id: a}]", 0, "ok: " + file + ": 1 areas, 0 mappings, 0 schedules\n", ""},
		{"http: {tls: {cert_file: /nowhere.pem, key_file: /nowhere.key}}", 2, "", "tacet: config: " + file + ":1: http.tls: open /nowhere.pem: no such file or directory\n"},
		{"areas: [{id: north}]\nauth: {users: [{name: ann, areas: [nroth]}]}", 0, "ok: " + file + ": 1 areas, 0 mappings, 0 schedules\n",
			"tacet: warning: " + file + ":2: auth.users[0].areas[0]: no area \"nroth\" is configured; did you mean \"north\"?\n"},
		{"nod: a\nredis: {url: x}", 2, "", "tacet: config: " + file + ":1: nod: unknown key; did you mean \"node\"?\ntacet: config: " + file + ":2: redis.url: it is not redis://, rediss://, valkey://, valkeys:// or unix:// with a host\n"},
	} {
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		exit, stdout, stderr := run(t, map[string]string{"TACET_CONFIG": file}, "config", "check")
		if exit != c.exit || stdout != c.stdout || stderr != c.stderr {
			t.Errorf("%q: got %d, %q, %q", c.text, exit, stdout, stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{nil, {"--help"}, {"area"}, {"say", "-h"}} {
		if exit, out, stderr := run(t, nil, args...); exit != 0 || !strings.Contains(out, "Usage:") || stderr != "" {
			t.Errorf("%q: got %d, %q, %q", args, exit, out, stderr)
		}
	}
}

// TestUnreadableFile: a file that cannot be read is not the hub's fault.
func TestUnreadableFile(t *testing.T) {
	srv := httptest.NewServer(&hub{})
	defer srv.Close()
	exit, _, stderr := run(t, map[string]string{"TACET_URL": srv.URL}, "clip", "add", "/proc/self/mem")
	if want := "tacet: usage: read /proc/self/mem: input/output error\n"; exit != 2 || stderr != want {
		t.Errorf("got %d, %q, want 2, %q", exit, stderr, want)
	}
}

func TestRestartSaysWhatItNeeds(t *testing.T) {
	if exit, out, _ := run(t, nil, "device", "restart", "--help"); exit != 0 || !strings.Contains(out, "that nobody supervises") {
		t.Errorf("got %d, %q", exit, out)
	}
}

// TestEnrol: the code alone is on standard output, what to do with it beside.
func TestEnrol(t *testing.T) {
	srv := httptest.NewServer(&hub{})
	defer srv.Close()
	exit, stdout, stderr := run(t, map[string]string{"TACET_URL": srv.URL}, "device", "enrol", "gate-12", "--area", "north")
	want := "on the device, until 2026-11-21T10:15:00.000Z, once, one of:\n  curl -fsS " + srv.URL + "/install.sh | sudo sh -s -- CODE\n" +
		"  sudo tacet-device provision --hub " + srv.URL + " --code CODE\nso that the hub can update it later, name whose programs it takes, KEY as \"tacet update key\" printed it:\n" +
		"--key KEY behind the first, updates: {keys: [\"KEY\"]} in the device.yaml of the second; --update-key KEY for an SD card (make image)\n" +
		"with the hub's address as the device sees it instead of " + strings.TrimPrefix(srv.URL, "http://") + "\n"
	if exit != 0 || stdout != "AAAA-BBBB\n" || stderr != want {
		t.Errorf("got %d, %q, %q", exit, stdout, stderr)
	}
}

// TestEnrolAgain: who makes a second code hears that the first is void.
func TestEnrolAgain(t *testing.T) {
	srv := httptest.NewServer(&hub{})
	defer srv.Close()
	exit, stdout, stderr := run(t, map[string]string{"TACET_URL": srv.URL}, "device", "enrol", "gate-13", "--area", "north")
	if want := "this replaces the code that waited for gate-13, which is no longer good\n"; exit != 0 || stdout != "CCCC-DDDD\n" || !strings.HasPrefix(stderr, want) {
		t.Errorf("got %d, %q, %q", exit, stdout, stderr)
	}
}

// TestUserHash: what it prints is good for the password, without the line end.
func TestUserHash(t *testing.T) {
	root := &cobra.Command{Use: "tacet"}
	Add(root, Env{Getenv: func(string) string { return "" }})
	root.SetIn(strings.NewReader("hunter2 \n"))
	var out, errs bytes.Buffer
	if exit := Execute(t.Context(), root, []string{"user", "hash", "--stdin"}, &out, &errs); exit != 0 || errs.Len() > 0 {
		t.Fatalf("exit %d, %q", exit, errs.String())
	}
	a, err := auth.New(auth.Config{Users: []auth.User{{Name: "ann", PasswordHash: strings.TrimSpace(out.String())}}}, nil, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Password(t.Context(), "", "ann", "hunter2 "); err != nil {
		t.Error(err)
	}
}
