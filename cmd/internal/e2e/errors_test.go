package e2e

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// problem is a problem document.
type problem struct {
	Type, Code, Title, Detail, Instance string
	Status                              int
	Errors                              []area.FieldError
}

// refused fails the test unless a is the problem document of this code, with
// every key of it and no other.
func (a answer) refused(t testing.TB, status int, code area.Code, fields ...string) problem {
	t.Helper()
	var keys map[string]json.RawMessage
	a.want(t, status, &keys)
	var p problem
	a.want(t, status, &p)
	for _, k := range strings.Fields("type code title status detail instance errors") {
		if _, ok := keys[k]; !ok {
			t.Errorf("%s has no %s", a.body, k)
		}
		delete(keys, k)
	}
	if len(keys) > 0 {
		t.Errorf("%s has %d keys more than a problem document", a.body, len(keys))
	}
	same(t, "Content-Type", a.header.Get("Content-Type"), "application/problem+json")
	same(t, "type", p.Type, "urn:tacet:error:"+string(code))
	same(t, "code", p.Code, string(code))
	same(t, "status", p.Status, status)
	if p.Title == "" || p.Detail == "" || p.Instance == "" || p.Errors == nil {
		t.Errorf("%s leaves something out", a.body)
	}
	for _, f := range fields {
		if !slices.ContainsFunc(p.Errors, func(e area.FieldError) bool { return e.Field == f && e.Message != "" }) {
			t.Errorf("%s does not blame %s", a.body, f)
		}
	}
	return p
}

// TestRefusals has every code of REST that this version gives, each with its
// status and the whole problem document.
func TestRefusals(t *testing.T) {
	t.Parallel()
	h := start(t)
	gate := h.connect()
	gate.call("ReceiveDeviceConnected", "gate-9", "north", "1")
	h.call("POST", "/schedules", `{"id":"mine","every":"1h","work":{"to":{"area":"north"},"message":"hello"}}`).want(t, http.StatusCreated, nil)
	order := `{"id":"o-1","to":{"area":"south"},"message":"hello"}`
	h.call("POST", "/orders", order, "Idempotency-Key", "k-1").want(t, http.StatusAccepted, nil)
	h.call("DELETE", "/orders/o-1", nil).want(t, http.StatusOK, nil)

	const orders = "/orders"
	for name, c := range map[string]struct {
		method, path string
		body         any
		header       []string
		status       int
		code         area.Code
		fields       []string
	}{
		"no JSON":                {"POST", orders, `{"to":`, nil, 400, area.CodeBadRequest, nil},
		"an unknown key":         {"POST", orders, `{"to":{"area":"north"},"message":"x","colour":"red"}`, nil, 400, area.CodeBadRequest, nil},
		"no body":                {"POST", orders, nil, nil, 400, area.CodeBadRequest, nil},
		"a wrong type":           {"POST", orders, `{"to":{"area":"north"},"message":7}`, nil, 400, area.CodeBadRequest, nil},
		"a foreign host":         {"GET", "/areas", nil, []string{"Host", "evil.example"}, 403, area.CodeForbidden, nil},
		"a foreign page":         {"GET", "/areas", nil, []string{"Origin", "https://evil.example"}, 403, area.CodeForbidden, nil},
		"a topic of the hub's":   {"POST", "/topics", `{"topic":"tacet/area/north/busy","payload":"{}"}`, nil, 403, area.CodeForbidden, nil},
		"a group of the hub's":   {"POST", "/groups/user:ann/send", `{"event":"E","args":[]}`, nil, 403, area.CodeForbidden, nil},
		"no such area":           {"GET", "/areas/west", nil, nil, 404, area.CodeNotFound, nil},
		"no such order":          {"GET", "/orders/o-9", nil, nil, 404, area.CodeNotFound, nil},
		"no such device":         {"GET", "/devices/gate-0", nil, nil, 404, area.CodeNotFound, nil},
		"no such schedule":       {"DELETE", "/schedules/none", nil, nil, 404, area.CodeNotFound, nil},
		"no such path":           {"GET", "/nothing", nil, nil, 404, area.CodeNotFound, nil},
		"no such verb":           {"PATCH", "/areas", `{}`, nil, 405, area.CodeMethod, nil},
		"an area's id":           {"POST", "/areas", `{"id":"north"}`, nil, 409, area.CodeExists, nil},
		"an area's name":         {"POST", "/areas", `{"id":"n2","name":"North Wing"}`, nil, 409, area.CodeExists, nil},
		"an order's id":          {"POST", orders, order, nil, 409, area.CodeExists, nil},
		"the file's area":        {"DELETE", "/areas/north", nil, nil, 409, area.CodeConfigured, nil},
		"an order that ended":    {"DELETE", "/orders/o-1", nil, nil, 409, area.CodeEnded, nil},
		"a live player's area":   {"PUT", "/devices/gate-9", `{"area":"south","location":null,"name":null}`, nil, 409, area.CodeConflict, nil},
		"an old version":         {"DELETE", "/schedules/mine", nil, []string{"If-Match", `"old"`}, 412, area.CodeVersionConflict, nil},
		"too much":               {"POST", orders, strings.Repeat(" ", 1<<20) + order, nil, 413, area.CodeTooLarge, nil},
		"a form":                 {"POST", orders, `a=b`, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, area.CodeMediaType, nil},
		"two targets":            {"POST", orders, `{"to":{"area":"north","location":"1"},"message":"x"}`, nil, 422, area.CodeInvalid, []string{"to"}},
		"no target":              {"POST", orders, `{"to":{},"message":"x"}`, nil, 422, area.CodeInvalid, []string{"to"}},
		"nothing to say":         {"POST", orders, `{"to":{"area":"north"}}`, nil, 422, area.CodeInvalid, []string{"message"}},
		"a chime of none":        {"POST", orders, `{"to":{"area":"north"},"message":"x","chime":"tuba"}`, nil, 422, area.CodeInvalid, []string{"chime"}},
		"two faults":             {"POST", orders, `{"to":{"area":"north"},"message":"x","volume":101,"repeat":0}`, nil, 422, area.CodeInvalid, []string{"volume", "repeat"}},
		"a limit":                {"GET", "/orders?limit=1001", nil, nil, 422, area.CodeInvalid, []string{"limit"}},
		"the sensors' area":      {"POST", orders, `{"to":{"area":"unassigned"},"message":"x"}`, nil, 422, area.CodeInvalid, []string{"to.area"}},
		"an unknown area":        {"POST", orders, `{"to":{"area":"west"},"message":"x"}`, nil, 422, area.CodeUnknownArea, []string{"to.area"}},
		"an unknown location":    {"POST", orders, `{"to":{"location":"9"},"message":"x"}`, nil, 422, area.CodeUnknownLocation, []string{"to.location"}},
		"an unknown device":      {"POST", orders, `{"to":{"device":"gate-0"},"message":"x"}`, nil, 422, area.CodeUnknownDevice, []string{"to.device"}},
		"a trial of no area":     {"POST", orders + "?dry_run=true", `{"to":{"area":"west"},"message":"x"}`, nil, 422, area.CodeUnknownArea, []string{"to.area"}},
		"another area's gate":    {"POST", "/areas", `{"id":"west","locations":[{"id":"1"}]}`, nil, 422, area.CodeLocationConflict, nil},
		"a key for another body": {"POST", orders, `{"to":{"area":"north"},"message":"other"}`, []string{"Idempotency-Key", "k-1"}, 422, area.CodeIdempotencyMismatch, nil},
	} {
		t.Run(name, func(t *testing.T) {
			a := h.call(c.method, c.path, c.body, c.header...)
			a.refused(t, c.status, c.code, c.fields...)
			if c.status == http.StatusMethodNotAllowed && a.header.Get("Allow") == "" {
				t.Error("no Allow")
			}
		})
	}
	h.get("/areas/north", &area.Area{})
	if a := h.call("GET", "/areas/west", nil); a.status != http.StatusNotFound {
		t.Errorf("a refused request has made area west: %s", a.body)
	}
}

// TestIdempotency: the same key and body is answered as the first time was, and
// makes nothing.
func TestIdempotency(t *testing.T) {
	t.Parallel()
	h := start(t)
	body := `{"to":{"area":"north"},"message":"once"}`
	first := h.call("POST", "/orders", body, "Idempotency-Key", "k-7")
	first.want(t, http.StatusAccepted, nil)
	again := h.call("POST", "/orders", body, "Idempotency-Key", "k-7")
	again.want(t, http.StatusAccepted, nil)
	same(t, "the second answer", string(again.body), string(first.body))
	same(t, "Idempotent-Replayed", again.header.Get("Idempotent-Replayed"), "true")
	same(t, "Idempotent-Replayed of the first", first.header.Get("Idempotent-Replayed"), "")
	var list struct{ Items []area.Order }
	h.get("/orders", &list)
	same(t, "orders", len(list.Items), 1)
}
