package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestWholeHub: every door of a hub opens, and shows one and the same thing.
func TestWholeHub(t *testing.T) {
	t.Parallel()
	h := start(t)
	for path, want := range map[string]string{
		"/healthz": `{"status":"ok"}`,
		"/readyz":  `{"parts":{"backplane":{"ok":true,"mode":"memory"},"broker":{"ok":true},"store":{"ok":true}},"status":"ready"}`,
	} {
		a := h.call("GET", h.ready.HTTP+path, nil)
		a.want(t, http.StatusOK, nil)
		same(t, path, strings.TrimSpace(string(a.body)), want)
	}
	for _, url := range []string{h.ready.HTTP + "/", h.ready.HTTP + "/api/v1/openapi.yaml", h.ready.Admin + "/metrics", h.ready.Admin + "/debug/pprof/"} {
		h.call("GET", url, nil).want(t, http.StatusOK, nil)
	}
	file, err := os.ReadFile(filepath.Join(h.data, "ready.json"))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(h.ready)
	same(t, "ready.json", strings.TrimSpace(string(file)), string(want))

	var rest struct {
		Items []json.RawMessage
		Next  *string
	}
	h.get("/areas", &rest)
	w := h.connect()
	var hub []json.RawMessage
	if err := json.Unmarshal(w.call("JoinArea", "*"), &hub); err != nil {
		t.Fatal(err)
	}
	if len(rest.Items) != 2 || len(hub) != 2 || rest.Next != nil {
		t.Fatalf("REST has %d areas and the hub %d, want 2", len(rest.Items), len(hub))
	}
	for i := range rest.Items {
		same(t, "the hub's area", string(hub[i]), string(rest.Items[i]))
	}
	var north map[string]json.RawMessage
	h.get("/areas/north", &north)
	keys := make([]string, 0, len(north))
	for k := range north {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	same(t, "keys of an area", strings.Join(keys, " "), "busy id leader lease_ms locations members mode name peers policy queue quiet_hours seq source topology volume")
	b, err := area.ParseBusy(north["busy"])
	if err != nil || b.State != area.Idle || b.LeaseMs != lease.Milliseconds() {
		t.Errorf("busy of an idle area is %s (%v)", north["busy"], err)
	}

	if err := h.stop(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(h.data, "ready.json")); !os.IsNotExist(err) {
		t.Errorf("ready.json is still there (%v)", err)
	}
}

// TestLists: a list is read page by page, a thing that did not change is 304.
func TestLists(t *testing.T) {
	t.Parallel()
	h := start(t)
	for range 5 {
		h.announce(`{"to":{"area":"north"},"message":"hello"}`)
	}
	type page struct {
		Items []area.Order
		Next  *string
	}
	var ids []string
	path, pages := "/orders?limit=2", 0
	for ; path != ""; pages++ {
		var p page
		h.get(path, &p)
		path = ""
		for _, o := range p.Items {
			ids = append(ids, string(o.ID))
		}
		if p.Next != nil {
			path = "/orders?limit=2&after=" + *p.Next
		}
	}
	slices.Sort(ids)
	if pages != 3 || len(slices.Compact(ids)) != 5 {
		t.Errorf("%d pages with %v, want 3 with 5 orders", pages, ids)
	}
	one := h.call("GET", "/areas/south", nil)
	one.want(t, http.StatusOK, nil)
	h.call("GET", "/areas/south", nil, "If-None-Match", one.header.Get("ETag")).want(t, http.StatusNotModified, nil)
}

// TestEmptyHub: nothing that asks makes an area; a device that is seen does.
func TestEmptyHub(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *conf.Config) {
		c.Areas = nil
		c.Mappings = append(c.Mappings, conf.Mapping{Topic: "hall/{area}/{metric}", Format: "raw", Device: "hall-{area}"})
	})
	w := h.watch()
	h.call("POST", "/orders", `{"to":{"area":"north"},"message":"x"}`).refused(t, 422, area.CodeUnknownArea)
	for method, arg := range map[string]any{"JoinArea": "north", "GetArea": "north", "StopArea": "north", "JoinGroup": "area:north",
		"Announce": map[string]any{"to": map[string]any{"area": "north"}, "message": "x"}} {
		if _, err := w.invoke(method, arg); err == nil || !strings.Contains(err.Error(), "HubException: unknown_area: ") {
			t.Errorf("%s of no area: %v", method, err)
		}
	}
	var none struct{ Items []area.Area }
	if h.get("/areas", &none); len(none.Items) > 0 {
		t.Fatalf("asking has made %d areas", len(none.Items))
	}

	// Each way in which a device may be seen first.
	h.publish("tacet/device/gate-1/status", `{"v":1,"online":true,"boot":1,"conn":1,"mid":"m1","area":"by status","location":"1","state":"idle"}`, "-r")
	h.publish("tacet/area/by-claim/claim/gate-2", `{"op":"hello","boot":1,"mid":"m2","nonce":"n","claim":0,"seq":1}`)
	h.publish("tacet/area/by-set/busy/set/bell", "0")
	h.publish("hall/by-capture/temperature", "21.5")
	h.connect().call("ReceiveDeviceConnected", "gate-3", "Pier/North", 7)
	for id, want := range map[area.Name]struct{ name, member, location string }{
		"by-status": {"by status", "gate-1", "1"}, "by-claim": {"by-claim", "gate-2", ""}, "by-set": {"by-set", "bell", ""},
		"by-capture": {"by-capture", "", ""}, "pier-north": {"Pier/North", "gate-3", "7"},
	} {
		w.await("area "+string(id), func(e told) bool {
			var d area.Delta
			return e.event == "AreaChanged" && e.read(&d) && d.Area != nil && *d.Area == id &&
				(want.member == "" || strings.Contains(string(d.Set["members"]), `"`+want.member+`"`))
		})
		var a area.Area
		h.get("/areas/"+string(id), &a)
		same(t, "source of "+string(id), a.Source, area.SourceSeen)
		same(t, "name of "+string(id), a.Name, want.name)
		if want.location != "" && (len(a.Locations) != 1 || string(a.Locations[0].ID) != want.location) {
			t.Errorf("locations of %s are %v, want %s", id, a.Locations, want.location)
		}
	}
}

// TestAreasOfREST: made, changed by nobody, and removed; never the file's.
func TestAreasOfREST(t *testing.T) {
	t.Parallel()
	h := start(t)
	made := h.call("POST", "/areas", `{"name":"West Wing","lease_ms":3000,"policy":"finish","locations":[{"id":"9","name":"Gate 9"}]}`)
	var a area.Area
	made.want(t, http.StatusCreated, &a)
	same(t, "Location", made.header.Get("Location"), "/api/v1/areas/west-wing")
	same(t, "id", a.ID, "west-wing")
	same(t, "lease_ms", a.LeaseMs, 3000)
	same(t, "policy", a.Policy, "finish")
	w := h.watch()
	h.announce(`{"id":"o-1","to":{"location":"9"},"message":"x"}`)
	w.order("o-1", func(o area.Order) bool { return o.Area == "west-wing" })
	h.call("DELETE", "/orders/o-1", nil).want(t, http.StatusOK, nil)
	h.call("DELETE", "/areas/west-wing", nil).want(t, http.StatusNoContent, nil)
	w.await("the end of west-wing", func(e told) bool {
		var d area.Delta
		return e.event == "AreaChanged" && e.read(&d) && d.Area != nil && *d.Area == "west-wing" && d.Removed
	})
	h.call("GET", "/areas/west-wing", nil).refused(t, http.StatusNotFound, area.CodeNotFound)
}
