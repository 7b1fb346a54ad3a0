package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func recording(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "recorded.txt")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSensorMapDryRun(t *testing.T) {
	file := recording(t,
		`zigbee2mqtt/north/hall {"temperature":21.5,"action":"single"}`,
		`tele/plug/LWT Online`,
		`plant/1/p7/co2 400`,
		`plant/1/p7/humidity err`,
		`nobody/knows this`,
		``,
	)
	config := filepath.Join(t.TempDir(), "tacet.yaml")
	if err := os.WriteFile(config, []byte("mappings: [{topic: \"plant/{line}/{device}/{metric}\", format: raw, area: \"line-{line}\"}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"zigbee2mqtt/north/hall zigbee2mqtt hall north reading temperature 21.5 °C", "zigbee2mqtt/north/hall zigbee2mqtt hall north event action single",
		"tele/plug/LWT tasmota plug presence online connected", "nobody/knows none",
	}
	mapped := []string{"plant/1/p7/co2 mapping p7 line-1 reading co2 400 ppm", "plant/1/p7/humidity mapping p7 line-1 reading humidity % bad; text"}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"conventions": {nil, append([]string{"plant/1/p7/co2 none"}, want...)},
		"config":      {[]string{"--config", config}, append(mapped, want...)},
		"flags":       {[]string{"--topic", "plant/{line}/{device}/{metric}", "--format", "raw", "--area", "line-{line}"}, append(mapped, want...)},
		"fields":      {[]string{"--topic", "zigbee2mqtt/{area}/{device}", "--format", "json", "--field", "temperature=co2"}, []string{"zigbee2mqtt/north/hall mapping hall north reading co2 21.5 ppm"}},
		"events":      {[]string{"--topic", "nobody/+", "--group", "g", "--event", "E"}, []string{"nobody/knows mapping group g E"}},
	} {
		t.Run(name, func(t *testing.T) {
			exit, out, errs := run(t, nil, append([]string{"sensor", "map", "--dry-run", "--messages", file}, c.args...)...)
			if exit != 0 || errs != "5 messages\n" {
				t.Fatalf("exit %d, %s", exit, errs)
			}
			var lines []string
			for line := range strings.Lines(out) {
				cells := slices.DeleteFunc(strings.Fields(line), func(cell string) bool { return cell == "-" }) // empty ones
				lines = append(lines, strings.Join(cells, " "))
			}
			for _, w := range c.want {
				if !strings.Contains(strings.Join(lines, "\n")+"\n", w+"\n") {
					t.Errorf("no line %q in\n%s", w, strings.Join(lines, "\n"))
				}
			}
		})
	}
	exit, out, _ := run(t, nil, "sensor", "map", "--dry-run", "--messages", file, "--json")
	var got struct {
		Messages int
		Items    []tried
	}
	if err := json.Unmarshal([]byte(out), &got); exit != 0 || err != nil || got.Messages != 5 || len(got.Items) != 6 {
		t.Errorf("exit %d, %v: %s", exit, err, out)
	}
}

func TestSensorMapUsage(t *testing.T) {
	for _, c := range [][]string{
		{}, {"--dry-run"}, {"--topic", "a/#/b", "--format", "raw"}, {"--topic", "a/{device}", "--format", "json", "--field", "x"}, {"--dry-run", "--messages", "x", "--listen", "#"},
		{"--topic", "tacet/{device}/{metric}", "--format", "raw"},
	} {
		if exit, _, errs := run(t, nil, append([]string{"sensor", "map"}, c...)...); exit != 2 {
			t.Errorf("%q: exit %d, %s", c, exit, errs)
		}
	}
}

func TestSensorCommandsAskTheHub(t *testing.T) {
	var asked atomic.Value
	looks := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked.Store(r.Method + " " + r.URL.Path + " " + string(body))
		switch r.Method + " " + r.URL.Path {
		case "POST /api/v1/mappings":
			w.WriteHeader(http.StatusCreated)
			fmt.Fprint(w, `{"id":"m-1","topic":"x/{device}","format":"raw","metric":"co2","source":"api"}`)
		case "DELETE /api/v1/mappings/m-1":
			w.WriteHeader(http.StatusNoContent)
		case "PUT /api/v1/devices/hall 7":
			fmt.Fprint(w, `{"id":"hall 7","area":"north","last_seen":"2026-11-21T12:00:00.000Z"}`)
		case "PUT /api/v1/devices/hull":
			fmt.Fprint(w, `{"id":"hull","area":"north","last_seen":null}`)
		case "GET /api/v1/mappings":
			fmt.Fprint(w, `{"items":[{"id":"m-1","topic":"x/{device}","format":"json","fields":{"b":"co2","a":"humidity"},"source":"api"}],"next":null}`)
		case "GET /api/v1/sensors":
			fmt.Fprint(w, `{"items":[{"id":"hall","name":"Hall","area":"north","presence":"online","attributes":{"convention":"tasmota"},"readings":[{"metric":"temperature","channel":"a","value":21.5,"unit":"°C","quality":"stale"}]}],"next":null}`)
		case "GET /api/v1/topics":
			looks++
			fmt.Fprintf(w, `{"items":[{"topic":"x/plant","payload":{"a":7},"ts":%[2]d},{"topic":"home/n/d/co2","payload":%[1]d,"ts":%[2]d},{"topic":"home/n/d/humidity","payload":"40","ts":1}],"next":null}`, 400+looks, looks)
		}
	}))
	defer srv.Close()
	env := map[string]string{"TACET_URL": srv.URL}
	for _, c := range []struct {
		args        []string
		asked, want string
	}{
		{[]string{"map", "--topic", "x/{device}", "--format", "raw", "--metric", "co2", "--id", "m-1"}, `POST /api/v1/mappings {"id":"m-1","topic":"x/{device}","format":"raw","metric":"co2"}`, "m-1\n"},
		{[]string{"unmap", "m-1"}, "DELETE /api/v1/mappings/m-1 ", ""},
		{[]string{"assign", "hall 7", "north", "--name", "Hall"}, `PUT /api/v1/devices/hall 7 {"area":"north","name":"Hall"}`, "hall 7 is in north\n"},
		{[]string{"assign", "hull", "north"}, `PUT /api/v1/devices/hull {"area":"north"}`, "hull is not known: nothing was ever heard of it"},
		{[]string{"mappings"}, "GET /api/v1/mappings ", "a=humidity b=co2"},
		{[]string{"list"}, "GET /api/v1/sensors ", "temperature/a 21.5 °C (stale)"},
		{[]string{"map", "--dry-run", "--listen", "home/#", "--for", "700ms"}, "GET /api/v1/topics ", "reading  co2"},
		{[]string{"map", "--dry-run", "--listen", "x/#", "--for", "1ms"}, "GET /api/v1/topics ", "mapping  plant"},
	} {
		exit, out, errs := run(t, env, append([]string{"sensor"}, c.args...)...)
		if got := strings.TrimSuffix(asked.Load().(string), "\n"); exit != 0 || got != strings.TrimSuffix(c.asked, "\n") || !strings.Contains(out, c.want) {
			t.Errorf("%q: exit %d, asked %q, want %q; printed %q %s", c.args, exit, got, c.asked, out, errs)
		}
	}
}
