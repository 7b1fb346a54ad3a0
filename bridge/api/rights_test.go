package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/clip"
)

// person is who asks in these tests: the header X-Person names one.
var persons = map[string]auth.Principal{
	"nobody":         {Name: "nobody", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{"guard"}, Areas: []string{"*"}},
	"viewer":         {Name: "viewer", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleViewer}, Areas: []string{"*"}},
	"announcer":      {Name: "announcer", Kind: auth.KindToken, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleAnnouncer}, Areas: []string{"*"}},
	"operator":       {Name: "operator", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleOperator}, Areas: []string{"*"}},
	"admin":          {Name: "admin", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleAdmin}},
	"north operator": {Name: "no", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleOperator}, Areas: []string{"north"}},
	"south operator": {Name: "so", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleOperator}, Areas: []string{"south"}},
	"device":         {Name: "gate-1", Kind: auth.KindDevice, Tenant: auth.DefaultTenant, Area: "north"},
	"stranger":       {Name: "stranger", Kind: auth.KindUser, Tenant: "acme", Roles: []string{auth.RoleAdmin}, Areas: []string{"*"}},
}

// newGuardedWorld has areas north and south, and persons.
func newGuardedWorld(t *testing.T) *world {
	t.Helper()
	w := newWorldOf(t, auth.Config{Users: []auth.User{{Name: "ann", Roles: []string{auth.RoleAdmin}}}})
	south := w.site.areas["north"]
	south.ID, south.Name, south.Source, south.Locations, south.Members = "south", "South Wing", area.SourceAPI, []area.Location{}, []area.DeviceID{}
	w.site.areas["south"] = south
	w.site.mappings["m-1"] = mapping.Entry{ID: "m-1", Rule: mapping.Rule{Topic: "x/{device}", Format: mapping.JSON}, Source: area.SourceAPI}
	w.site.schedules["hourly"] = area.Schedule{ID: "hourly", Cron: ptr("0 * * * *"), TimeZone: "UTC", Source: area.SourceAPI, Work: area.OrderRequest{To: area.To{Area: ptr("north")}, Message: ptr("x")}}
	w.site.schedules["round"] = area.Schedule{ID: "round", Cron: ptr("0 * * * *"), TimeZone: "UTC", Source: area.SourceAPI, Work: area.OrderRequest{To: area.To{Each: ptr("locations")}, Message: ptr("x")}}
	if _, _, err := w.clips.Put(t.Context(), strings.NewReader("RIFF kept"), clip.About{}); err != nil {
		t.Fatal(err)
	}
	w.who = func(r *http.Request) (auth.Principal, error) {
		p, ok := persons[r.Header.Get("X-Person")]
		if !ok {
			return p, area.Errorf(area.CodeUnauthorized, "sign in, or send a token")
		}
		return p, nil
	}
	return w
}

// keptClipName is a clip that every guarded world has.
var keptClipName = clip.SumOf([]byte("RIFF kept")).Hex()

// TestRights asks for everything as everybody. A case names, for each person,
// the code that refuses him; who is not named is not refused.
func TestRights(t *testing.T) {
	const (
		out  = area.CodeForbidden
		gone = area.CodeNotFound
	)
	low := []string{"nobody", "viewer", "announcer", "device"}
	refuse := func(code area.Code, who ...string) map[string]area.Code {
		m := map[string]area.Code{}
		for _, p := range who {
			m[p] = code
		}
		return m
	}
	and := func(more ...map[string]area.Code) map[string]area.Code {
		all := map[string]area.Code{}
		for _, m := range more {
			for p, code := range m {
				all[p] = code
			}
		}
		return all
	}
	reads := refuse(out, "nobody")
	readsNorth := and(refuse(out, "nobody", "south operator"), refuse(gone, "stranger"))
	runsNorth := and(refuse(out, low...), refuse(out, "south operator"), refuse(gone, "stranger"))
	runsAll := and(refuse(out, low...), refuse(out, "north operator", "south operator", "stranger"))
	administers := and(refuse(out, low...), refuse(out, "operator", "north operator", "south operator"))
	mux, unasked := http.NewServeMux(), map[string]bool{}
	for _, r := range routes() {
		mux.Handle(r.method+" "+r.path, http.NotFoundHandler())
		unasked[r.method+" "+r.path] = r.needs != 0
	}
	for _, c := range []struct {
		method, path, body string
		refused            map[string]area.Code
	}{
		{"GET", "/areas", "", reads},
		{"GET", "/areas/north", "", readsNorth},
		{"GET", "/areas/north/key", "", runsNorth},
		{"POST", "/areas/north/key", "", runsNorth},
		{"GET", "/locations", "", reads},
		{"GET", "/devices", "", reads},
		{"GET", "/devices/gate-1", "", readsNorth},
		{"GET", "/sensors", "", reads},
		{"GET", "/orders", "", reads},
		{"GET", "/orders/o-1", "", readsNorth},
		{"GET", "/schedules", "", reads},
		{"GET", "/schedules/hourly", "", readsNorth},
		{"GET", "/schedules/hourly/next", "", readsNorth},
		{"GET", "/schedules/round", "", and(refuse(out, "nobody", "device", "north operator", "south operator"), refuse(gone, "stranger"))},
		{"GET", "/mappings", "", reads},
		{"GET", "/mappings/m-1", "", and(reads, refuse(gone, "stranger"))},
		{"GET", "/readings", "", reads},
		{"GET", "/readings?step=1m", "", reads},
		{"GET", "/groups/g/members", "", reads},
		{"GET", "/presence", "", reads},
		{"GET", "/last-seen", "", reads},
		{"GET", "/topics", "", reads},
		{"GET", "/clips", "", reads},
		{"GET", "/releases", "", reads},
		{"GET", "/rollouts", "", reads},
		{"GET", "/rollouts/u-1", "", readsNorth},
		{"GET", "/clips/" + keptClipName, "", and(reads, refuse(gone, "stranger"))},
		{"GET", "/nodes", "", reads},
		{"GET", "/nodes/hub-1", "", and(reads, refuse(gone, "stranger"))},
		{"GET", "/openapi.yaml", "", reads},
		{"GET", "/nothing", "", and(refuse(gone, "viewer", "announcer", "device", "operator", "admin", "north operator", "south operator", "stranger"), reads)},

		{"POST", "/orders", `{"to":{"area":"north"},"message":"x"}`, and(refuse(out, "nobody", "viewer", "device", "south operator"), refuse(area.CodeUnknownArea, "stranger"))},
		{"POST", "/orders?dry_run=true", `{"to":{"area":"north"},"message":"x"}`, and(refuse(out, "nobody", "viewer", "device", "south operator"), refuse(area.CodeUnknownArea, "stranger"))},
		{"DELETE", "/orders/o-1", "", and(refuse(out, "nobody", "viewer", "device", "south operator"), refuse(gone, "stranger"))},
		{"POST", "/groups/g/send", `{"event":"x","args":[]}`, refuse(out, "nobody", "viewer", "device")},
		{"POST", "/groups/g/invoke", `{"event":"x","args":[]}`, refuse(out, "nobody", "viewer", "device")},
		{"POST", "/users/ann/send", `{"event":"x","args":[]}`, refuse(out, low...)},
		{"POST", "/users/ann/invoke", `{"event":"x","args":[]}`, refuse(out, low...)},
		{"POST", "/connections/c1/send", `{"event":"x","args":[]}`, refuse(out, low...)},
		{"POST", "/connections/c1/invoke", `{"event":"x","args":[]}`, refuse(out, low...)},
		{"POST", "/tenants/acme/send", `{"event":"x","args":[]}`, and(administers, refuse(gone, "admin"))},

		{"PATCH", "/areas/south", `{"volume":3}`, and(refuse(out, low...), refuse(out, "north operator"), refuse(gone, "stranger"))},
		{"PUT", "/areas/south", `{"name":"South Wing"}`, and(refuse(out, low...), refuse(out, "north operator"), refuse(gone, "stranger"))},
		{"GET", "/areas/north/proof", "", readsNorth},
		{"POST", "/areas/north/stop", "", runsNorth},
		{"POST", "/stop", "", and(refuse(out, low...), refuse(out, "north operator", "south operator"))},
		{"PUT", "/devices/gate-1", `{"area":"north"}`, runsNorth},
		{"PUT", "/devices/gate-1", `{"area":"south"}`, and(runsAll, refuse(gone, "stranger"))},
		{"PUT", "/devices/new", `{"name":"New"}`, and(runsAll, refuse(gone, "stranger"))},
		{"DELETE", "/devices/hall%2F%CE%B1%20%CE%B2%25", "", and(runsAll, refuse(gone, "stranger"))},
		{"POST", "/areas", `{"id":"west"}`, runsAll},
		{"DELETE", "/areas/south", "", and(refuse(out, low...), refuse(out, "north operator"), refuse(gone, "stranger"))},
		{"POST", "/schedules", `{"cron":"1 * * * *","work":{"to":{"area":"north"},"message":"x"}}`, and(refuse(out, low...), refuse(out, "south operator", "stranger"))},
		{"POST", "/mappings", `{"topic":"x/{device}","format":"json"}`, runsAll},
		{"PUT", "/mappings/m-1", `{"topic":"x/{device}","format":"json"}`, and(runsAll, refuse(gone, "stranger"))},
		{"PATCH", "/mappings/m-1", `{"device":"d"}`, and(runsAll, refuse(gone, "stranger"))},
		{"DELETE", "/mappings/m-1", "", and(runsAll, refuse(gone, "stranger"))},
		{"POST", "/rollouts", `{"to":{"device":"gate-1"}}`, and(refuse(out, low...), refuse(out, "south operator", "stranger"))},
		{"POST", "/rollouts", `{"to":{"area":"north"}}`, and(refuse(out, low...), refuse(out, "south operator", "stranger"))},
		{"DELETE", "/rollouts/u-1", "", runsNorth},
		{"POST", "/clips", "RIFF", refuse(out, "nobody", "viewer", "device", "stranger")},
		{"DELETE", "/clips/" + keptClipName, "", and(refuse(out, low...), refuse(out, "north operator", "south operator"), refuse(gone, "stranger"))},
		{"DELETE", "/schedules/hourly", "", runsNorth},
		{"PUT", "/schedules/hourly", `{"cron":"1 * * * *","work":{"to":{"area":"north"},"message":"x"}}`, runsNorth},
		{"PATCH", "/schedules/hourly", `{"enabled":false}`, runsNorth},
		{"PATCH", "/schedules/hourly", `{"work":{"to":{"area":null,"each":"locations"}}}`, and(refuse(out, low...), refuse(out, "north operator", "south operator"), refuse(gone, "stranger"))},
		{"POST", "/topics", `{"topic":"tacet/device/gate-1/cmd/identify","payload":"x"}`, runsAll},
		{"POST", "/topics", `{"topic":"home/x","payload":"x"}`, and(administers, refuse(out, "stranger"))},
		{"DELETE", "/topics?filter=x/%23", "", refuse(out, low...)},

		{"PUT", "/groups/g/members/c1", "", and(runsAll, refuse(gone, "stranger"))},
		{"DELETE", "/groups/g/members/c1", "", and(runsAll, refuse(gone, "stranger"))},
		{"DELETE", "/connections/c1", "", and(runsAll, refuse(gone, "stranger"))},
		{"DELETE", "/connections/c2", "", and(refuse(out, low...), refuse(gone, "operator", "admin", "north operator", "south operator", "stranger"))},

		{"GET", "/backup", "", and(administers, refuse(out, "stranger"))},
		{"GET", "/tokens", "", administers},
		{"POST", "/tokens", `{"name":"PERSON","roles":["viewer"]}`, administers},
		{"DELETE", "/tokens/PERSON", "", administers},
		{"GET", "/credentials", "", refuse(out, low...)},
		{"POST", "/enrolments", `{"device":"PERSON","area":"north"}`, and(refuse(out, low...), refuse(out, "south operator"))},
		{"DELETE", "/devices/PERSON/credential", "", and(refuse(out, low...), refuse(gone, "south operator"))},
	} {
		_, pattern := mux.Handler(httptest.NewRequest(c.method, c.path, nil))
		delete(unasked, pattern)
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			newGuardedWorld(t).want(area.CodeUnauthorized, c.method, c.path, c.body)
			for name := range persons {
				w := newGuardedWorld(t) // as nobody has changed it
				order := w.order(t)
				plain := strings.ReplaceAll(name, " ", "-")
				path, body := strings.NewReplacer("o-1", order, "u-1", w.rollout(t)).Replace(c.path), strings.ReplaceAll(c.body, "PERSON", plain)
				if strings.Contains(path, "PERSON") { // what this person made
					path = strings.ReplaceAll(path, "PERSON", plain)
					w.made(t, plain, persons[name].Tenant)
				}
				code, refused := c.refused[name]
				if refused {
					w.want(code, c.method, path, body, "X-Person: "+name)
				} else if res, out := w.do(c.method, path, body, "X-Person: "+name); res.StatusCode >= 300 {
					t.Errorf("%s: %d %s", name, res.StatusCode, out)
				}
			}
		})
	}
	for route, needs := range unasked {
		if needs {
			t.Errorf("nobody asks for %s here", route)
		}
	}
}

// rollout makes a rollout for the north and answers its id.
func (w *world) rollout(t *testing.T) string {
	t.Helper()
	north := area.Name("north")
	r, err := w.rollouts.Start(t.Context(), rollout.Request{To: rollout.To{Area: &north}}, "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// order makes an order for the north and answers its id.
func (w *world) order(t *testing.T) string {
	t.Helper()
	_, out := w.want(202, "POST", "/orders", `{"to":{"area":"north"},"message":"x"}`, "X-Person: admin")
	var made area.Accepted
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	return string(made.ID)
}

// made makes a token and an enrolment of that name.
func (w *world) made(t *testing.T, name, tenant string) {
	t.Helper()
	_, errToken := w.auth.CreateToken(t.Context(), auth.Token{Name: name, Tenant: tenant, Roles: []string{auth.RoleViewer}})
	if errToken == nil && strings.Contains(t.Name(), "credential") {
		_ = w.auth.DeleteToken(t.Context(), tenant, name)
	}
	if strings.Contains(t.Name(), "credential") && name != "south-operator" {
		if _, err := w.auth.Enrol(t.Context(), auth.Enrolment{Device: area.DeviceID(name), Area: "north", Tenant: tenant}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestListsAreCut: a list has what the caller may read.
func TestListsAreCut(t *testing.T) {
	w := newGuardedWorld(t)
	w.order(t)
	for _, c := range []struct{ path, person, has, lacks string }{
		{"/areas", "viewer", `"id":"south"`, "\x00"},
		{"/areas", "north operator", `"id":"north"`, `"id":"south"`},
		{"/areas", "device", `"id":"north"`, `"id":"south"`},
		{"/areas", "stranger", `"items":[]`, "north"},
		{"/locations", "south operator", `"items":[]`, "north"},
		{"/devices", "north operator", `"gate-1"`, "hall"},
		{"/devices", "south operator", `"items":[]`, "gate-1"},
		{"/devices", "stranger", `"items":[]`, "gate-1"},
		{"/orders", "north operator", `"area":"north"`, "\x00"},
		{"/orders", "south operator", `"items":[]`, "north"},
		{"/orders", "stranger", `"items":[]`, "north"},
		{"/schedules", "north operator", `"hourly"`, "round"},
		{"/schedules", "viewer", `"round"`, "\x00"},
		{"/schedules", "stranger", `"items":[]`, "hourly"},
		{"/readings", "viewer", `"hall`, "\x00"},
		{"/readings", "north operator", `"items":[]`, "hall"},
		{"/readings", "stranger", `"items":[]`, "hall"},
		{"/topics", "viewer", "home/north", "\x00"},
		{"/topics", "north operator", "tacet/area/north/busy", "home/"},
		{"/topics", "device", "tacet/area/north/busy", "home/"},
		{"/topics", "stranger", `"items":[]`, "north"},
		{"/nodes", "viewer", `"areas":["north","south"]`, "\x00"},
		{"/nodes", "north operator", `"areas":["north"]`, "south"},
		{"/nodes", "stranger", `"items":[]`, "hub-1"},
	} {
		_, out := w.want(200, "GET", c.path, "", "X-Person: "+c.person)
		if !strings.Contains(out, c.has) || strings.Contains(out, c.lacks) {
			t.Errorf("GET %s as %s: %s, want %s and no %s", c.path, c.person, out, c.has, c.lacks)
		}
	}
}

// TestTokens: a token is shown once, works, and is void when it is deleted.
func TestTokens(t *testing.T) {
	w := newGuardedWorld(t)
	res, out := w.want(201, "POST", "/tokens", `{"name":"ci","roles":["operator"],"areas":["north"],"expires":"1h"}`, "X-Person: admin")
	var made struct {
		Token     string
		ExpiresAt string `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil || made.Token == "" || res.Header.Get("Location") != Prefix+"/tokens/ci" {
		t.Fatalf("made %s at %q", out, res.Header.Get("Location"))
	}
	if want := area.At(noon.Add(time.Hour)).String(); made.ExpiresAt != want {
		t.Errorf("expires at %s, want %s", made.ExpiresAt, want)
	}
	p, err := w.auth.Bearer(t.Context(), "", made.Token)
	if err != nil || p.Name != "ci" || p.Kind != auth.KindToken || p.May(auth.Operate, "north") != nil || p.May(auth.Operate, "south") == nil {
		t.Errorf("the token is %+v, %v", p, err)
	}
	if _, out := w.want(200, "GET", "/tokens", "", "X-Person: admin"); !strings.Contains(out, `"name":"ci"`) || strings.Contains(out, made.Token) {
		t.Errorf("listed as %s", out)
	}
	w.want(area.CodeExists, "POST", "/tokens", `{"name":"ci","roles":["viewer"]}`, "X-Person: admin")
	w.want(area.CodeInvalid, "POST", "/tokens", `{"name":"x","roles":["king"]}`, "X-Person: admin")
	w.want(area.CodeInvalid, "POST", "/tokens", `{"name":"x","roles":["viewer"],"expires":"1ms"}`, "X-Person: admin")
	w.want(area.CodeNotFound, "DELETE", "/tokens/ci", "", "X-Person: stranger")
	w.want(204, "DELETE", "/tokens/ci", "", "X-Person: admin")
	w.want(area.CodeNotFound, "DELETE", "/tokens/ci", "", "X-Person: admin")
	if w.auth.Stands(p) == nil {
		t.Error("a deleted token stands")
	}
	if log := w.log.String(); strings.Contains(log, made.Token) || !strings.Contains(log, "token made") || !strings.Contains(log, "token taken back") {
		t.Errorf("the log is %s", log)
	}
}

// TestEnrolment: a code is good once, for the device's own credential, until
// that is revoked.
func TestEnrolment(t *testing.T) {
	w := newGuardedWorld(t)
	_, out := w.want(201, "POST", "/enrolments", `{"device":"gate-12","area":"north"}`, "X-Person: north operator")
	var made struct{ Code string }
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatal(err)
	}
	w.want(area.CodeForbidden, "POST", "/enrolments", `{"device":"gate-12","area":"south"}`, "X-Person: south operator") // a code waits for another area
	w.want(area.CodeForbidden, "DELETE", "/devices/gate-12/credential", "", "X-Person: south operator")
	_, out = w.want(200, "POST", "/enrolments/"+strings.ToLower(made.Code), "")
	var got struct{ Device, Secret, Area, Tenant, MQTT string }
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Device != "gate-12" || got.Area != "north" || got.Tenant != "default" || got.MQTT != "mqtt://example.com:1883" {
		t.Fatalf("got %s", out)
	}
	w.want(area.CodeNotFound, "POST", "/enrolments/"+made.Code, "")
	p, err := w.auth.Password(t.Context(), "", "gate-12", got.Secret)
	if err != nil || p.Area != "north" || p.Kind != auth.KindDevice {
		t.Errorf("the device is %+v, %v", p, err)
	}
	w.want(area.CodeForbidden, "POST", "/enrolments", `{"device":"gate-12","area":"south"}`, "X-Person: south operator")
	w.want(area.CodeForbidden, "DELETE", "/devices/gate-12/credential", "", "X-Person: south operator")
	w.want(area.CodeNotFound, "DELETE", "/devices/gate-12/credential", "", "X-Person: stranger")
	w.want(area.CodeInvalid, "POST", "/enrolments", `{"device":"a b","area":"north"}`, "X-Person: admin")
	w.want(area.CodeInvalid, "POST", "/enrolments", `{"device":"a"}`, "X-Person: admin")
	w.want(204, "DELETE", "/devices/gate-12/credential", "", "X-Person: north operator")
	if w.auth.Stands(p) == nil {
		t.Error("a revoked device stands")
	}
	for _, secret := range []string{made.Code, got.Secret} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has a secret: %s", w.log.String())
		}
	}
	if st := w.api.Stats(); st.Enrolments != 1 || st.Redeemed != 1 || st.Revoked != 1 || st.Forbidden != 4 {
		t.Errorf("counted %+v", st)
	}
}

// TestCodesAreNotGuessed: who guesses is made to wait.
func TestCodesAreNotGuessed(t *testing.T) {
	w := newGuardedWorld(t)
	for range 30 {
		if res, _ := w.do("POST", "/enrolments/AAAA-BBBB", ""); res.StatusCode == http.StatusTooManyRequests {
			if res.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			return
		}
	}
	t.Error("30 wrong codes were all looked at")
}

// TestOpenModeGivesNoCredentials: the first of them would lock everybody out.
func TestOpenModeGivesNoCredentials(t *testing.T) {
	w := newWorld(t)
	w.want(area.CodeConflict, "POST", "/tokens", `{"name":"ci","roles":["admin"]}`)
	w.want(area.CodeConflict, "POST", "/enrolments", `{"device":"gate-12","area":"north"}`)
	w.want(area.CodeNotFound, "POST", "/enrolments/AAAA", "")
}

// TestUnauthorizedSaysHow: a caller who is not known is told what he could show.
func TestUnauthorizedSaysHow(t *testing.T) {
	w := newGuardedWorld(t)
	if res, _ := w.want(area.CodeUnauthorized, "GET", "/areas", ""); res.Header.Get("WWW-Authenticate") != `Bearer realm="tacet"` {
		t.Errorf("headers %v", res.Header)
	}
}

// TestKeysAreTheCallers: the same Idempotency-Key of two callers is two keys.
func TestKeysAreTheCallers(t *testing.T) {
	w := newGuardedWorld(t)
	_, first := w.want(202, "POST", "/orders", hello, "X-Person: admin", "Idempotency-Key: k")
	_, second := w.want(202, "POST", "/orders", hello, "X-Person: operator", "Idempotency-Key: k")
	_, again := w.want(202, "POST", "/orders", hello, "X-Person: admin", "Idempotency-Key: k")
	if first == second || first != again {
		t.Errorf("answered %s, %s and %s", first, second, again)
	}
}
