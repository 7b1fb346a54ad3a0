package api

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

const hello = `{"to":{"area":"north"},"message":"hello"}`

// TestReads stands still in time: with it the estimates of orders go on.
func TestReads(t *testing.T) { synctest.Test(t, testReads) }

func testReads(t *testing.T) {
	w := newWorld(t)
	w.site.schedules["a"] = area.Schedule{ID: "a", Cron: ptr("* * * * *"), TimeZone: "UTC", Source: area.SourceConfig, Work: area.OrderRequest{To: area.To{Area: ptr("north")}, Message: ptr("x")}}
	w.site.mappings["a"] = mapping.Entry{ID: "a", Rule: mapping.Rule{Topic: "x/{device}", Format: mapping.JSON}, Source: area.SourceConfig}
	w.want(202, "POST", "/orders", hello)
	for _, path := range []string{
		"/areas", "/areas/north", "/locations", "/locations?area=north", "/devices", "/devices?area=north&kind=player&presence=online", "/devices/gate-1", "/devices/hall%2F%CE%B1%20%CE%B2%25",
		"/sensors", "/orders", "/orders?area=north&state=accepted&from=1990-01-01T00:00:00Z&to=2999-01-01T00:00:00Z", "/schedules", "/schedules/a", "/schedules/a/next?n=3", "/mappings", "/mappings/a",
		"/readings", "/readings?metric=temperature&device=hall&area=north&channel=x", "/readings?from=2026-11-21T10:00:00Z&to=2026-11-21T11:00:00Z&step=60s", "/readings?step=1m",
		"/groups/g.1:x/members", "/presence", "/presence?scope=area:north", "/presence?scope=attr:role=x", "/last-seen", "/last-seen?user=ann", "/topics", "/topics?filter=home/%23", "/nodes", "/nodes/hub-2", "/openapi.yaml",
	} {
		res, _ := w.want(200, "GET", path, "")
		tag := res.Header.Get("ETag")
		if tag == "" {
			t.Errorf("GET %s has no ETag", path)
		}
		if res, out := w.do("GET", path, "", "If-None-Match: W/"+tag+`, "x"`); res.StatusCode != 304 || out != "" {
			t.Errorf("GET %s again: %d %s", path, res.StatusCode, out)
		}
		if res, out := w.do("HEAD", path, ""); res.StatusCode != 200 || out != "" {
			t.Errorf("HEAD %s: %d %s", path, res.StatusCode, out)
		}
	}
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		code               area.Code
		method, path, body string
		headers            []string
	}{
		{area.CodeNotFound, "GET", "/nothing", "", nil},
		{area.CodeNotFound, "GET", "/", "", nil},
		{area.CodeNotFound, "GET", "/areas/west", "", nil},
		{area.CodeNotFound, "GET", "/areas/%00", "", nil},
		{area.CodeNotFound, "POST", "/areas/west/stop", "", nil},
		{area.CodeNotFound, "DELETE", "/areas/west", "", nil},
		{area.CodeNotFound, "GET", "/devices/nobody", "", nil},
		{area.CodeNotFound, "GET", "/nodes/hub-9", "", nil},
		{area.CodeNotFound, "PUT", "/devices/%00", `{}`, nil},
		{area.CodeNotFound, "GET", "/orders/o-1", "", nil},
		{area.CodeNotFound, "DELETE", "/orders/o-1", "", nil},
		{area.CodeNotFound, "GET", "/schedules/x", "", nil},
		{area.CodeNotFound, "GET", "/mappings/x", "", nil},
		{area.CodeNotFound, "DELETE", "/mappings/x", "", nil},
		{area.CodeInvalid, "POST", "/mappings", `{"format":"raw"}`, nil},
		{area.CodeInvalid, "POST", "/mappings", `{"topic":"a/#/b","format":"raw","device":"d","metric":"m"}`, nil},
		{area.CodeInvalid, "POST", "/mappings", `{"id":"a b","topic":"a","format":"json","device":"d"}`, nil},
		{area.CodeBadRequest, "POST", "/mappings", `{"topic":"a","formt":"raw"}`, nil},
		{area.CodeNotFound, "PUT", "/schedules/x", "{}", nil},
		{area.CodeNotFound, "GET", "/schedules/x/next", "", nil},
		{area.CodeNotFound, "GET", "/groups/a%20b/members", "", nil},
		{area.CodeMethod, "PUT", "/areas", "{}", nil},
		{area.CodeMethod, "BREW", "/orders", "", nil},
		{area.CodeConfigured, "DELETE", "/areas/north", "", nil},
		{area.CodeExists, "POST", "/areas", `{"id":"north"}`, nil},
		{area.CodeVersionConflict, "DELETE", "/areas/north", "", []string{`If-Match: "old"`}},
		{area.CodeVersionConflict, "PUT", "/devices/gate-1", "{}", []string{`If-Match: "old"`}},
		{area.CodeVersionConflict, "PUT", "/devices/new", "{}", []string{`If-Match: *`}},
		{area.CodeVersionConflict, "DELETE", "/devices/gate-1", "", []string{`If-Match: "old"`}},
		{area.CodeConflict, "DELETE", "/devices/gate-1", "", nil},
		{area.CodeNotFound, "DELETE", "/devices/new", "", nil},
		{area.CodeUnknownArea, "PUT", "/devices/gate-1", `{"area":"west"}`, nil},
		{area.CodeInvalid, "PUT", "/devices/gate-1", `{"area":"a b","location":"/","name":""}`, nil},
		{area.CodeUnknownArea, "POST", "/orders", `{"to":{"area":"west"},"message":"x"}`, nil},
		{area.CodeUnknownLocation, "POST", "/orders", `{"to":{"location":"9"},"message":"x"}`, nil},
		{area.CodeUnknownDevice, "POST", "/orders?dry_run=true", `{"to":{"device":"x"},"message":"x"}`, nil},
		{area.CodeInvalid, "POST", "/orders", `{}`, nil},
		{area.CodeInvalid, "POST", "/orders?dry_run=yes", hello, nil},
		{area.CodeInvalid, "POST", "/orders", hello, []string{"Idempotency-Key: "}},
		{area.CodeInvalid, "POST", "/orders", hello, []string{"Idempotency-Key: " + strings.Repeat("k", 129)}},
		{area.CodeBadRequest, "POST", "/orders", `{"to":{"area":"north"},"mesage":"x"}`, nil},
		{area.CodeBadRequest, "POST", "/orders", `{`, nil},
		{area.CodeBadRequest, "POST", "/orders", "", []string{"Content-Type: application/json"}},
		{area.CodeBadRequest, "POST", "/orders", "{\"message\":\"\xff\xfe\"}", nil},
		{area.CodeBadRequest, "POST", "/areas", `{"id":"x","volum":1}`, nil},
		{area.CodeBadRequest, "POST", "/areas", `{"id":"x"} x`, nil},
		{area.CodeMediaType, "POST", "/orders", hello, []string{"Content-Type: text/plain"}},
		{area.CodeMediaType, "POST", "/orders", hello, []string{"Content-Type: application/x-www-form-urlencoded"}},
		{area.CodeMediaType, "POST", "/orders", hello, []string{"Content-Type: "}},
		{area.CodeTooLarge, "POST", "/orders", `{"message":"` + strings.Repeat("a", 1<<20) + `"}`, nil},
		{area.CodeNotFound, "GET", "/areas/west/proof", "", nil},
		{area.CodeInvalid, "GET", "/areas/north/proof?since=1ms", "", nil},
		{area.CodeInvalid, "GET", "/areas/north/proof?since=yesterday", "", nil},
		{area.CodeInvalid, "GET", "/areas?limit=0", "", nil},
		{area.CodeInvalid, "GET", "/areas?limit=1001", "", nil},
		{area.CodeInvalid, "GET", "/areas?limit=x", "", nil},
		{area.CodeInvalid, "GET", "/areas?after=!", "", nil},
		{area.CodeInvalid, "GET", "/orders?after=!", "", nil},
		{area.CodeInvalid, "GET", "/orders?state=gone&area=a%20b", "", nil},
		{area.CodeInvalid, "GET", "/orders?from=today", "", nil},
		{area.CodeInvalid, "GET", "/devices?kind=cat&presence=here", "", nil},
		{area.CodeInvalid, "GET", "/readings?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "", nil},
		{area.CodeInvalid, "GET", "/readings?from=2020-01-01T00:00:00Z&step=1s", "", nil},
		{area.CodeInvalid, "GET", "/readings?step=1", "", nil},
		{area.CodeInvalid, "GET", "/presence?scope=all", "", nil},
		{area.CodeInvalid, "GET", "/topics?filter=a%23", "", nil},
		{area.CodeInvalid, "DELETE", "/topics", "", nil},
		{area.CodeInvalid, "POST", "/topics", `{"topic":"a/+","qos":3}`, nil},
		{area.CodeInvalid, "POST", "/topics", `{"topic":"a","payload":{"base64":"!"}}`, nil},
		{area.CodeInvalid, "POST", "/topics", `{"topic":"tacet/area/north/submit","payload":"x"}`, nil},
		{area.CodeForbidden, "POST", "/topics", `{"topic":"tacet/area/north/busy","payload":"x"}`, nil},
		{area.CodeInvalid, "POST", "/groups/g/send", `{"args":[]}`, nil},
		{area.CodeForbidden, "POST", "/groups/area:north/send", `{"event":"x"}`, nil},
		{area.CodeForbidden, "POST", "/groups/area:north/invoke", `{"event":"x"}`, nil},
		{area.CodeInvalid, "POST", "/groups/g/invoke?mode=some&timeout=2h", `{"event":"x"}`, nil},
		{area.CodeInvalid, "POST", "/groups/g/invoke", `{"event":""}`, nil},
		{area.CodeNotFound, "POST", "/groups/a%20b/invoke", `{"event":"x"}`, nil},
		{area.CodeNotFound, "POST", "/connections/c9/send", `{"event":"x"}`, nil},
		{area.CodeNotFound, "POST", "/connections/c9/invoke?mode=one", `{"event":"x"}`, nil},
		{area.CodeNotFound, "POST", "/users/" + strings.Repeat("u", 257) + "/send", `{"event":"x"}`, nil},
		{area.CodeNotFound, "POST", "/users/%ff/send", `{"event":"x"}`, nil},
		{area.CodeInvalid, "POST", "/users/ann/send", `{"event":"` + strings.Repeat("e", 129) + `"}`, nil},
		{area.CodeBadRequest, "POST", "/users/ann/send", `{"event":"x","arguments":[]}`, nil},
		{area.CodeNotFound, "POST", "/tenants/acme/send", `{"event":"x"}`, nil},
		{area.CodeNoAnswer, "POST", "/groups/g/invoke?mode=one", `{"event":"Silent"}`, nil},
		{area.CodeInvalid, "POST", "/schedules", `{"cron":"* * * * *","every":"1m","work":{"to":{"area":"north"},"volume":300}}`, nil},
		{area.CodeInvalid, "POST", "/schedules", `{"id":"a b","cron":"* * * * *"}`, nil},
		{area.CodeBadRequest, "POST", "/schedules", `{"cron":"* * * * *","work":{"to":{"area":"north"},"mesage":"x"}}`, nil},
		{area.CodeInternal, "POST", "/groups/g/send", `{"event":"panic"}`, nil},
	} {
		w.want(c.code, c.method, c.path, c.body, c.headers...)
	}
	if st := w.api.Stats(); st.Failed != 1 || st.Refused == 0 || st.Requests != st.Refused+1 {
		t.Errorf("stats %+v", st)
	}
}

func TestFieldsAreNamed(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ path, body, fields string }{
		{"/orders", `{"to":{"area":"west"},"message":"x"}`, "to.area"},
		{"/orders", `{"to":{"area":"north"},"message":"x","volume":300,"repeat":0}`, "volume repeat"},
		{"/orders", `{"to":{"area":"north"},"message":"x","loud":true}`, "loud"},
		{"/areas", `{"id":"a b","mode":"x","topology":"x","policy":"x","lease_ms":1,"volume":101,"quiet_hours":["25:00-26:00"],"locations":[{"id":"/"},{"id":"1"},{"id":"1","name":"\u0001"}],"name":""}`,
			"name id mode topology policy lease_ms volume quiet_hours.0 locations.0.id locations.2.id locations.2.name"},
		{"/areas", `{}`, "id"},
		{"/areas", `{"name":"???"}`, "id"},
		{"/areas", `{"id":"unassigned"}`, "id"},
		{"/areas", `{"id":"x","volume":"loud"}`, "volume"},
		{"/areas", `{"id":"x","loud":1}`, "loud"},
		{"/schedules", `{"work":{"to":{"area":"north"},"message":"x","volume":300,"id":"x"}}`, "cron work.volume"},
		{"/schedules", `{"cron":"x","work":{"to":{"area":"north"},"message":"x","id":"x"}}`, "work.id"},
		{"/schedules", `{"cron":"x"}`, "work"},
		{"/topics", `{"qos":9}`, "topic qos payload"},
	} {
		_, out := w.do("POST", c.path, c.body)
		var p Problem
		_ = json.Unmarshal([]byte(out), &p)
		var names []string
		for _, e := range p.Errors {
			names = append(names, e.Field)
		}
		if got := strings.Join(names, " "); got != c.fields {
			t.Errorf("POST %s %s: fields %q, want %q: %s", c.path, c.body, got, c.fields, out)
		}
	}
}

func TestAllow(t *testing.T) {
	w := newWorld(t)
	res, _ := w.want(area.CodeMethod, "PATCH", "/areas", "{}")
	if got := res.Header.Get("Allow"); got != "GET, HEAD, POST" {
		t.Errorf("Allow is %q", got)
	}
}

func TestOrders(t *testing.T) {
	w := newWorld(t)
	_, out := w.want(200, "POST", "/orders?dry_run=true", hello)
	if !strings.Contains(out, `"id":null`) || !strings.Contains(out, `"duration_ms"`) {
		t.Errorf("dry run: %s", out)
	}
	res, first := w.want(202, "POST", "/orders", hello, "Idempotency-Key: k1")
	if res.Header.Get("Idempotent-Replayed") != "" || !strings.HasPrefix(res.Header.Get("Location"), "/api/v1/orders/o-") {
		t.Errorf("headers %v", res.Header)
	}
	res, again := w.want(202, "POST", "/orders", ` {"message":"hello", "to":{"area":"north"}}`, "Idempotency-Key: k1")
	if first != again || res.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("first %s, again %s, %v", first, again, res.Header)
	}
	w.want(area.CodeIdempotencyMismatch, "POST", "/orders", `{"message":"ho","to":{"area":"north"}}`, "Idempotency-Key: k1")
	w.want(202, "POST", "/orders", `{"id":"mine","message":"ho","to":{"area":"north"}}`)
	w.want(area.CodeExists, "POST", "/orders", `{"id":"mine","message":"ho","to":{"area":"north"}}`)
	_, out = w.want(200, "DELETE", "/orders/mine", "")
	if !strings.Contains(out, `"state":"cancelled","reason":"user"`) {
		t.Errorf("cancelled order: %s", out)
	}
	w.want(area.CodeEnded, "DELETE", "/orders/mine", "")
	_, out = w.want(200, "POST", "/areas/north/stop?waiting=false", "")
	if out != `{"stopped":[],"cancelled":[]}` {
		t.Errorf("stop: %s", out)
	}
	if _, out = w.want(200, "POST", "/stop", ""); !strings.Contains(out, `"cancelled":["o-`) {
		t.Errorf("stop: %s", out)
	}
	for range 60 {
		if res, _ := w.do("POST", "/orders", hello); res.StatusCode == http.StatusTooManyRequests {
			if res.Header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
			return
		}
	}
	t.Error("the bound of orders is not kept")
}

func TestACourseHasWhatHasJustCome(t *testing.T) {
	w := newWorld(t)
	w.want(200, "GET", "/readings?step=1m", "")
	if !w.site.asked.After(noon) {
		t.Errorf("the course ends before %s, and leaves out a reading of %s", w.site.asked, noon)
	}
}

func TestAreasAreChanged(t *testing.T) {
	w := newWorld(t)
	w.want(201, "POST", "/areas", `{"id":"late","name":"Late Wing"}`)
	res, read := w.want(200, "GET", "/areas/late", "")
	w.want(200, "PUT", "/areas/late", read) // what was read can be sent back
	_, out := w.want(200, "PATCH", "/areas/late", `{"volume":12,"locations":[{"id":"l1","name":"Gate L1","device":null}]}`)
	if !strings.Contains(out, `"name":"Late Wing"`) || !strings.Contains(out, `"volume":12`) || !strings.Contains(out, `"id":"l1"`) {
		t.Errorf("patched: %s", out)
	}
	w.want(area.CodeVersionConflict, "PATCH", "/areas/late", `{"volume":13}`, "If-Match: "+res.Header.Get("ETag"))
	if _, out = w.want(200, "PATCH", "/areas/late", `{"volume":null}`); !strings.Contains(out, `"volume":70`) {
		t.Errorf("a key that was taken away has its default: %s", out)
	}
	w.want(area.CodeInvalid, "PUT", "/areas/late", `{"id":"other"}`)
	w.want(area.CodeInvalid, "PATCH", "/areas/late", `{"lease_ms":5}`)
	w.want(area.CodeBadRequest, "PATCH", "/areas/late", `{"colour":"red"}`)
	w.want(area.CodeNotFound, "PATCH", "/areas/nowhere", `{}`)
}

func TestWritesComeOnce(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ method, path, body, other string }{
		{"POST", "/areas", `{"id":"late"}`, `{"id":"later"}`},
		{"POST", "/schedules", `{"cron":"* * * * *","work":{"to":{"area":"north"},"message":"x"}}`, `{}`},
		{"DELETE", "/areas/late", "", "x"},
	} {
		key := "Idempotency-Key: " + c.method + c.path
		res, first := w.do(c.method, c.path, c.body, key)
		if res.StatusCode >= 300 || res.Header.Get("Idempotent-Replayed") != "" {
			t.Fatalf("%s %s: %d %s %v", c.method, c.path, res.StatusCode, first, res.Header)
		}
		status, at := res.StatusCode, res.Header.Get("Location")
		res, again := w.do(c.method, c.path, c.body, key)
		if res.StatusCode != status || again != first || res.Header.Get("Location") != at || res.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s %s again: %d %s, first %d %s", c.method, c.path, res.StatusCode, again, status, first)
		}
		w.want(area.CodeIdempotencyMismatch, c.method, c.path, c.other, key)
	}
	w.want(area.CodeInvalid, "POST", "/areas", `{"id":"more"}`, "Idempotency-Key: "+strings.Repeat("k", 129))
	if _, out := w.want(201, "POST", "/schedules", `{"every":"1h","work":{"to":{"area":"north"},"message":"x"}}`); !strings.Contains(out, `"time_zone":"UTC"`) {
		t.Errorf("a schedule without its default zone: %s", out)
	}
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"a", "b", "c", "d"} {
		w.want(201, "POST", "/areas", `{"id":"`+id+`","name":"Area `+id+`"}`)
		w.want(202, "POST", "/orders", hello)
	}
	for _, path := range []string{"/areas", "/orders"} {
		seen := map[string]bool{}
		after, pages := "", 0
		for {
			var p struct {
				Items []struct{ ID string }
				Next  *string
			}
			_, out := w.want(200, "GET", path+"?limit=2"+after, "")
			if err := json.Unmarshal([]byte(out), &p); err != nil {
				t.Fatal(err)
			}
			for _, x := range p.Items {
				seen[x.ID] = true
			}
			if pages++; p.Next == nil || pages > 10 {
				break
			}
			after = "&after=" + *p.Next
		}
		if len(seen) < 4 || pages > 3 {
			t.Errorf("%s: %v in %d pages", path, seen, pages)
		}
	}
}

func TestWrites(t *testing.T) {
	w := newWorld(t)
	res, _ := w.want(201, "POST", "/areas", `{"name":"South Wing","lease_ms":8000,"quiet_hours":["23:00-05:30"],"locations":[{"id":"9"}]}`)
	if got := res.Header.Get("Location"); got != "/api/v1/areas/south-wing" {
		t.Errorf("Location is %s", got)
	}
	res, _ = w.want(200, "GET", "/areas/south-wing", "")
	w.want(204, "DELETE", "/areas/south-wing", "", "If-Match: "+res.Header.Get("ETag"))
	w.want(200, "PUT", "/devices/new%20sensor", `{"area":"north","location":null,"name":"New"}`)
	w.want(204, "DELETE", "/devices/new%20sensor", "")
	w.want(area.CodeNotFound, "GET", "/devices/new%20sensor", "")

	res, _ = w.want(201, "POST", "/schedules", `{"every":"30s","work":{"to":{"each":"locations"},"message":"x"}}`)
	path := strings.TrimPrefix(res.Header.Get("Location"), Prefix)
	res, whole := w.want(200, "GET", path, "")
	tag := "If-Match: " + res.Header.Get("ETag")
	w.want(200, "PUT", path, whole, tag)
	_, out := w.want(200, "PATCH", path, `{"enabled":false,"every":null,"cron":"* * * * *","work":{"volume":5}}`, "Content-Type: application/merge-patch+json", tag)
	if !strings.Contains(out, `"every":null`) || !strings.Contains(out, `"enabled":false`) || !strings.Contains(out, `"volume":5`) || !strings.Contains(out, `"message":"x"`) {
		t.Errorf("patched: %s", out)
	}
	w.want(area.CodeVersionConflict, "PUT", path, whole, tag)
	w.want(area.CodeInvalid, "PUT", path, strings.Replace(whole, `"id":"`, `"id":"x`, 1))
	w.want(area.CodeBadRequest, "PATCH", path, `[]`)
	w.want(204, "DELETE", path, "")

	w.want(202, "POST", "/groups/g/send", `{"event":"Alarm","args":[1,{"a":null}]}`)
	for body, want := range map[string]string{
		`{"topic":"a","payload":"x"}`: "x", `{"topic":"a","payload":{"a":1}}`: `{"a":1}`, `{"topic":"a","payload":null}`: "", `{"topic":"a","payload":21.5,"retain":true,"qos":1}`: "21.5",
		`{"topic":"a","payload":{"base64":"AAE="}}`: "\x00\x01",
	} {
		w.want(202, "POST", "/topics", body)
		if m := w.site.published[len(w.site.published)-1]; string(m.Payload) != want || m.From != area.FromHub {
			t.Errorf("%s published %+v, want %q", body, m, want)
		}
	}
	n := len(w.site.published)
	_, out = w.want(200, "DELETE", "/topics?filter=%23&dry_run=true", "")
	if out != `{"cleared":1,"topics":["home/north/hall/temperature"]}` || len(w.site.published) != n {
		t.Errorf("dry run of a clear: %s", out)
	}
	w.want(200, "DELETE", "/topics?filter=%23", "")
	if m := w.site.published[n]; len(w.site.published) != n+1 || !m.Retain || len(m.Payload) != 0 {
		t.Errorf("cleared by %+v", w.site.published[n:])
	}
	w.site.fail = errOurs
	if _, out := w.want(area.CodeInternal, "POST", "/topics", `{"topic":"a","payload":"x"}`); strings.Contains(out, "secret") {
		t.Errorf("the fault of the house is told: %s", out)
	}
}

func TestHostileBodies(t *testing.T) {
	w := newWorld(t)
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	for _, body := range []string{
		deep, `{"to":` + deep + `}`, strings.Repeat(`{"a":`, 20_000), `{"volume":1e400}`, `{"volume":` + strings.Repeat("9", 5000) + `}`, "\x00", "\xef\xbb\xbf{}", `{"to":{"area":"` + strings.Repeat("a", 100_000) + `"}}`,
		`"` + strings.Repeat("a", 1000), `{"id":1,"id":2}`, `null`, `0`, `{"expires":"9999999999999h"}`, `{"not_before":"0000-00-00T00:00:00Z"}`,
	} {
		for _, target := range []string{"POST /orders", "POST /orders?dry_run=true", "POST /areas", "PUT /devices/gate-1", "POST /schedules", "POST /topics", "POST /groups/g/send"} {
			method, path, _ := strings.Cut(target, " ")
			if body == "null" && method == "PUT" {
				continue // takes everything back
			}
			res, out := w.do(method, path, body)
			if res.StatusCode < 400 || res.StatusCode >= 500 {
				t.Errorf("%s %.50s: %d %.200s", target, body, res.StatusCode, out)
			}
			if len(out) > 8192 {
				t.Errorf("%s %.50s: the refusal has %d bytes", target, body, len(out))
			}
		}
	}
}

func TestMissingResources(t *testing.T) {
	_, err := New(Config{}, Resources{}, slog.Default())
	if err == nil || !strings.Contains(err.Error(), "Areas") || !strings.Contains(err.Error(), "Groups") {
		t.Errorf("New: %v", err)
	}
}
