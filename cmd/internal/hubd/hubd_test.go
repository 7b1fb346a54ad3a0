package hubd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// started runs a hub on free ports until the test ends. It may take its time to start and
// to stop: the machine may be busy.
func started(t *testing.T, change func(*conf.Config)) (*Hub, Ready, func() error) {
	t.Helper()
	return startedLogging(t, slog.New(slog.DiscardHandler), change)
}

func startedLogging(t *testing.T, log *slog.Logger, change func(*conf.Config)) (*Hub, Ready, func() error) {
	t.Helper()
	cfg := conf.Default()
	cfg.HTTP.Addr, cfg.HTTP.AdminAddr, cfg.MQTT.Addr, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
	cfg.Areas = []conf.Area{wing("north", "North Wing")}
	if change != nil {
		change(&cfg)
	}
	h, err := New(cfg, Options{ColdStart: true, Version: "test"}, log)
	if err != nil {
		t.Fatal(err)
	}
	h.patience = time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	select {
	case r := <-h.Ready():
		t.Cleanup(func() { _ = stop() }) // it writes to its directory until it has ended
		return h, r, stop
	case err := <-ended:
		t.Fatalf("the hub ended: %v", err)
		return nil, Ready{}, nil
	}
}

func wing(id area.Name, name string) (a conf.Area) {
	a.SetDefaults()
	a.ID, a.Name = id, name
	return a
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHubSaysWhereItIsAndLeavesNoTrace(t *testing.T) {
	h, r, stop := started(t, nil)
	file := filepath.Join(h.cfg.Data, "ready.json")
	b, err := os.ReadFile(file)
	var got map[string]any
	if err != nil || json.Unmarshal(b, &got) != nil {
		t.Fatalf("ready.json: %s %v", b, err)
	}
	for key, want := range map[string]any{"http": r.HTTP, "mqtt": r.MQTT, "mqtts": nil, "admin": r.Admin, "node": "hub-1", "pid": float64(os.Getpid())} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("ready.json %s: got %v, want %v", key, v, want)
		}
	}
	if code, body := get(t, r.HTTP+"/healthz"); code != 200 || strings.TrimSpace(body) != `{"status":"ok"}` {
		t.Errorf("healthz: %d %s", code, body)
	}
	if code, _ := get(t, r.Admin+"/readyz"); code != 200 {
		t.Errorf("readyz of the admin listener: %d", code)
	}
	code, body := get(t, r.HTTP+"/readyz")
	if want := `{"parts":{"backplane":{"ok":true,"mode":"memory"},"broker":{"ok":true},"store":{"ok":true}},"status":"ready"}`; code != 200 || strings.TrimSpace(body) != want {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, _ := get(t, r.HTTP+"/metrics"); code == 200 {
		t.Error("metrics are served to everybody")
	}
	if code, body := get(t, r.Admin+"/metrics"); code != 200 || !strings.Contains(body, "tacet_orders_to_sound_p95_seconds") || !strings.Contains(body, `tacet_info{node="hub-1",version="test"} 1`) {
		t.Errorf("metrics: %d, %d bytes", code, len(body))
	}
	if err := stop(); err != nil {
		t.Errorf("the end: %v", err)
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ready.json after the end: %v", err)
	}
	if h.health.get() != draining {
		t.Errorf("at the end the hub is %s", h.health.get())
	}
}

// A client that never answers the hub's goodbye does not hold up the end, nor
// make a failure of it.
func TestAnIdleHubClientDoesNotHoldUpTheEnd(t *testing.T) {
	_, r, stop := started(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.HTTP, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	key := "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	if _, err := io.WriteString(conn, "GET "+hubPath+" HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+key); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	if err := stop(); err != nil {
		t.Errorf("the end with a silent client: %v", err)
	}
}

// What a write answers is the object as reading it gives it, with every key.
func TestWritesAnswerTheWholeObject(t *testing.T) {
	_, r, _ := started(t, nil)
	for _, w := range []struct{ method, path, body string }{
		{"POST", "/areas", `{"id":"late","name":"Late Wing"}`},
		{"PATCH", "/areas/late", `{"volume":7}`},
		{"PUT", "/devices/hall", `{"area":"Late Wing","name":"Hall"}`},
	} {
		got := write(t, w.method, r.HTTP+"/api/v1"+w.path, w.body)
		var o struct {
			ID, Name, Node string
			Area           *string
			Busy           map[string]any
			Seq            uint64
		}
		if err := json.Unmarshal([]byte(got), &o); err != nil || o.Seq == 0 {
			t.Fatalf("%s %s: %s %v", w.method, w.path, got, err)
		}
		if o.ID == "late" && o.Busy["state"] != "settling" && o.Busy["state"] != "idle" {
			t.Errorf("a new area without its state: %s", got)
		}
		if o.ID == "hall" && (*o.Area != "late" || o.Node != "hub-1" || o.Name != "Hall") {
			t.Errorf("an assigned sensor: %s", got)
		}
	}
}

// What the registry or the roster has, REST shows: the view may lag behind.
func TestReadsSeeWhatHasHappened(t *testing.T) {
	h, r, _ := started(t, nil)
	for i := range 50 {
		id := fmt.Sprint("gate-", i)
		if _, _, err := h.roster.Register(arbiter.Player{Device: area.DeviceID(id), Area: "wing-" + id, Via: area.ViaMQTT, Link: "mqtt/x"}); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/devices/" + id, "/areas/wing-" + id} {
			if code, body := get(t, r.HTTP+"/api/v1"+path); code != http.StatusOK {
				t.Fatalf("GET %s right after %s came: %s", path, id, body)
			}
		}
	}
}

func write(t *testing.T, method, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAPortInUseIsSaid(t *testing.T) {
	_, r, _ := started(t, nil)
	for name, change := range map[string]func(*conf.Config){
		"mqtt":  func(c *conf.Config) { c.MQTT.Addr = strings.TrimPrefix(r.MQTT, "mqtt://") },
		"http":  func(c *conf.Config) { c.HTTP.Addr = strings.TrimPrefix(r.HTTP, "http://") },
		"admin": func(c *conf.Config) { c.HTTP.AdminAddr = strings.TrimPrefix(r.Admin, "http://") },
	} {
		cfg := conf.Default()
		cfg.HTTP.Addr, cfg.HTTP.AdminAddr, cfg.MQTT.Addr, cfg.Data = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", t.TempDir()
		change(&cfg)
		h, err := New(cfg, Options{}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestReloadTakesAreasMappingsAndSchedules(t *testing.T) {
	h, r, _ := started(t, nil)
	cfg := h.cfg
	every := area.Duration(time.Hour)
	text, to := "again", "west"
	cfg.Areas = append(slices.Clone(cfg.Areas), wing("west", "West"))
	cfg.Mappings = []conf.Mapping{{Topic: "m/{device}/{metric}", Format: "raw"}}
	cfg.Schedules = []conf.Schedule{{ID: "s-1", Every: &every, Enabled: true, Work: area.OrderRequest{To: area.To{Area: &to}, Message: &text}}}
	if err := h.Reload(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := h.roster.Find("West"); err != nil {
		t.Error(err)
	}
	if code, body := get(t, r.HTTP+"/api/v1/schedules/s-1"); code != 200 {
		t.Errorf("schedule: %d %s", code, body)
	}
	changed := make(chan struct{}, 1)
	defer h.registry.Watch(func(area.DeviceID, bool) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})()
	if err := h.broker.Publish(t.Context(), area.Message{Topic: "m/scale/weight", Payload: []byte("3")}); err != nil {
		t.Fatal(err)
	}
	<-changed
	if list := h.registry.ReadingsOf("scale"); len(list) != 1 || list[0].Value != 3.0 {
		t.Errorf("readings: %+v", list)
	}
	cfg.Mappings = []conf.Mapping{{Topic: "m/{device", Format: "raw"}}
	if err := h.Reload(t.Context(), cfg); err == nil {
		t.Error("a mapping with a fault was taken")
	}
}

func TestMappingsMadeByREST(t *testing.T) {
	h, r, _ := started(t, nil)
	changed := make(chan area.DeviceID, 100)
	defer h.registry.Watch(func(d area.DeviceID, _ bool) { changed <- d })()
	says := func(topic string, device area.DeviceID) {
		t.Helper()
		if err := h.broker.Publish(t.Context(), area.Message{Topic: topic, Payload: []byte("3")}); err != nil {
			t.Fatal(err)
		}
		for d := range changed {
			if d == device {
				return
			}
		}
	}
	made := write(t, "POST", r.HTTP+"/api/v1/mappings", `{"id":"m1","topic":"tele/{device}/SENSOR","format":"raw","metric":"co2","device":"mine-{device}"}`)
	if !strings.Contains(made, `"source":"api"`) {
		t.Fatal(made)
	}
	says("tele/x/SENSOR", "mine-x") // which beats the convention
	write(t, "PATCH", r.HTTP+"/api/v1/mappings/m1", `{"device":"other"}`)
	says("tele/x/SENSOR", "other")
	if err := h.Reload(t.Context(), h.cfg); err != nil {
		t.Fatal(err)
	}
	says("tele/x/SENSOR", "other")
	write(t, "DELETE", r.HTTP+"/api/v1/mappings/m1", "")
	if code, body := get(t, r.HTTP+"/api/v1/mappings"); code != 200 || strings.Contains(body, "m1") {
		t.Errorf("%d %s", code, body)
	}
}

func TestGuard(t *testing.T) {
	open := guard{open: true, origins: []string{"https://board.example"}}
	cases := []struct {
		name, host, origin string
		want               int
	}{
		{"a program", "127.0.0.1:8080", "", 200}, {"localhost", "localhost:8080", "", 200}, {"IPv6", "[::1]:8080", "", 200}, {"no port", "localhost", "", 200},
		{"own page", "127.0.0.1:8080", "http://127.0.0.1:8080", 200}, {"allowed page", "127.0.0.1:8080", "https://board.example", 200},
		{"a name that points here", "evil.example:8080", "", 403}, {"address of the network", "192.0.2.7:8080", "", 403}, {"no host", "", "", 403},
		{"foreign page", "127.0.0.1:8080", "http://evil.example", 403}, {"another port", "127.0.0.1:8080", "http://127.0.0.1:9", 403},
		{"null", "127.0.0.1:8080", "null", 403}, {"suffix", "127.0.0.1:8080", "https://board.example.evil.example", 403}, {"prefix", "127.0.0.1:8080", "https://evil-board.example", 403},
		{"scheme", "127.0.0.1:8080", "http://board.example", 403},
	}
	for _, c := range cases {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		open.wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: got %d, want %d", c.name, w.Code, c.want)
		}
		if w.Code == 403 && (w.Header().Get("Content-Type") != "application/problem+json" || !bytes.Contains(w.Body.Bytes(), []byte(`"code":"forbidden"`))) {
			t.Errorf("%s: %s", c.name, w.Body)
		}
	}
}

func TestStagesStopInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		note := func(name string) part {
			return part{name, func(ctx context.Context) error {
				<-ctx.Done()
				log = append(log, name)
				return nil
			}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { synctest.Wait(); cancel() }()
		s := stages{groups: [][]part{{note("web")}, {note("orders")}, {note("broker")}}, grace: time.Second}
		if err := s.run(ctx); err != nil || strings.Join(log, " ") != "web orders broker" {
			t.Errorf("stopped %v, %v", log, err)
		}
		failing := part{"store", func(context.Context) error { return errors.New("no disk") }}
		if err := (stages{groups: [][]part{{note("web")}, {failing}}, grace: time.Second}).run(t.Context()); err == nil || err.Error() != "store: no disk" {
			t.Errorf("a part that fails: %v", err)
		}
		release := make(chan struct{})
		stuck := part{"stuck", func(context.Context) error { <-release; return nil }}
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		if err := (stages{groups: [][]part{{stuck}}, grace: time.Second}).run(ctx); err == nil {
			t.Error("a part that does not end was not reported")
		}
		close(release)
		slow := part{"slow", func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(2500 * time.Millisecond) // a disk that stands still
			return nil
		}}
		for _, c := range []struct {
			groups [][]part
			ends   bool
		}{{[][]part{{note("web")}, {note("orders")}, {slow}}, true}, {[][]part{{note("web")}, {slow}, {note("broker")}}, false}} {
			if err := (stages{groups: c.groups, grace: time.Second}).run(ctx); (err == nil) != c.ends {
				t.Errorf("2.5 s of %d groups of a second each: %v", len(c.groups), err)
			}
		}
		time.Sleep(time.Minute) // until the slow one has ended
	})
}

func TestAColdStartOverAnOldRecordSettles(t *testing.T) {
	h, _, _ := started(t, nil)
	if b, _ := h.arbiter.Busy("north"); b.State != area.Idle {
		t.Fatalf("in a fresh directory north is %s", b.State)
	}
	kept, err := os.ReadFile(filepath.Join(h.cfg.Data, "tacet.db")) // as a kill leaves it
	if err != nil {
		t.Fatal(err)
	}
	again, _, _ := started(t, func(c *conf.Config) {
		if err := os.WriteFile(filepath.Join(c.Data, "tacet.db"), kept, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	if b, _ := again.arbiter.Busy("north"); b.State != area.Settling {
		t.Errorf("over the record of an earlier start north is %s", b.State)
	}
}
