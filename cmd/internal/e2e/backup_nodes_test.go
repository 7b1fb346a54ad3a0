package e2e

import (
	"net/http"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestABackupMovesBetweenOneNodeAndSeveral: what a hub that is alone keeps goes by one
// file to a node that a server joins with others, and back.
func TestABackupMovesBetweenOneNodeAndSeveral(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	dir := t.TempDir()
	s := startProcess(t, filepath.Join(dir, "alone"))
	moves := func(to string, start func(data string) *serve, areas ...string) {
		t.Helper()
		file, data := filepath.Join(dir, to+".backup"), filepath.Join(dir, to)
		s.must("backup", file, "--url", s.ready.HTTP)
		s.signal(syscall.SIGKILL)
		s.wait()
		s.must("restore", file, "--data", data)
		s = start(data)
		for _, a := range areas {
			s.call("GET", "/areas/"+a, nil).want(t, http.StatusOK, nil)
		}
		var o area.Order
		s.get("/orders/o-1", &o)
		same(t, "the order", o.State, area.OrderWaiting)
	}
	s.call("POST", "/areas", `{"id":"first","name":"First"}`).want(t, http.StatusCreated, nil)
	s.call("POST", "/orders", `{"id":"o-1","to":{"area":"first"},"message":"wait","expires":"3600s"}`).want(t, http.StatusAccepted, nil)
	moves("joined", func(data string) *serve { return l.node("hub-1", data) }, "first")
	s.call("POST", "/areas", `{"id":"second","name":"Second"}`).want(t, http.StatusCreated, nil)
	moves("back", func(data string) *serve { return startProcess(t, data) }, "first", "second")
	moves("again", func(data string) *serve { return l.node("hub-1", data) }, "first", "second")
}
