package hubd

import (
	"net/http"
	"strings"
	"testing"
)

// made is something that is made, changed and removed by REST.
type made struct {
	path, id, body, changed string
	has                     string // in what is answered once it is changed
}

// TestSharedByREST: what is made at one node is there at the other, also what was made
// while the server was away; what is removed at one is gone at the other.
func TestSharedByREST(t *testing.T) {
	s := startServer(t)
	_, r1, _ := started(t, s.node("hub-1", t.TempDir()))
	_, r2, _ := started(t, s.node("hub-2", t.TempDir()))
	for name, m := range map[string]made{
		"mapping":  {"/api/v1/mappings", "m", `{"id":"%","topic":"%/{device}/t","format":"raw","metric":"temperature"}`, `{"topic":"plant/{device}/x","format":"raw","metric":"temperature"}`, "plant/{device}/x"},
		"schedule": {"/api/v1/schedules", "s", `{"id":"%","cron":"0 12 * * *","time_zone":"UTC","work":{"to":{"area":"north"},"message":"hello"}}`, `{"cron":"0 13 * * *","time_zone":"UTC","work":{"to":{"area":"north"},"message":"hello"}}`, "0 13 * * *"},
	} {
		t.Run(name, func(t *testing.T) {
			m.roundTrip(t, r1, r2, m.id+"1", func() {}, func() {})
			m.roundTrip(t, r2, r1, m.id+"2", s.kill, s.start)
		})
	}
}

// roundTrip makes it at one node and removes it at the other.
func (m made) roundTrip(t *testing.T, one, other Ready, id string, before, after func()) {
	t.Helper()
	before()
	mustWrite(t, "POST", one.HTTP+m.path, strings.ReplaceAll(m.body, "%", id))
	after()
	until(t, other.HTTP+m.path+"/"+id, func(b string) bool { return strings.Contains(b, `"id":"`+id+`"`) })
	mustWrite(t, "PUT", other.HTTP+m.path+"/"+id, m.changed)
	until(t, one.HTTP+m.path+"/"+id, func(b string) bool { return strings.Contains(b, m.has) })
	mustWrite(t, "DELETE", other.HTTP+m.path+"/"+id, "")
	until(t, one.HTTP+m.path+"/"+id, func(b string) bool { return strings.Contains(b, "not_found") })
	if code, body := get(t, other.HTTP+m.path+"/"+id); code != http.StatusNotFound {
		t.Errorf("where it was removed it is %d %s", code, body)
	}
}

// mustWrite is write that has to be accepted.
func mustWrite(t *testing.T, method, url, body string) string {
	t.Helper()
	answer := write(t, method, url, body)
	if strings.Contains(answer, `"code"`) {
		t.Fatalf("%s %s: %s", method, url, answer)
	}
	return answer
}
