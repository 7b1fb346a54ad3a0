package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
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
		s.waits("o-1")
	}
	s.call("POST", "/areas", `{"id":"first","name":"First"}`).want(t, http.StatusCreated, nil)
	s.call("POST", "/orders", `{"id":"o-1","to":{"area":"first"},"message":"wait","expires":"3600s"}`).want(t, http.StatusAccepted, nil)
	moves("joined", func(data string) *serve { return l.node("hub-1", data) }, "first")
	s.call("POST", "/areas", `{"id":"second","name":"Second"}`).want(t, http.StatusCreated, nil)
	moves("back", func(data string) *serve { return startProcess(t, data) }, "first", "second")
	moves("again", func(data string) *serve { return l.node("hub-1", data) }, "first", "second")
}

// TestARestoredNodeAmongOthers: what the others have newer stays; by force the restored
// records win at every node.
func TestARestoredNodeAmongOthers(t *testing.T) {
	t.Parallel()
	l := startLedger(t)
	data := filepath.Join(t.TempDir(), "hub-1")
	one, two := l.node("hub-1", data), l.node("hub-2", t.TempDir())
	name := func(a, want string, nodes ...*serve) {
		t.Helper()
		for _, s := range nodes {
			s.answersWith("/areas/"+a, `"name":"`+want+`"`)
		}
	}
	one.call("POST", "/areas", `{"id":"late","name":"Yesterday"}`).want(t, http.StatusCreated, nil)
	name("late", "Yesterday", one, two)
	file := filepath.Join(t.TempDir(), "backup")
	one.must("backup", file, "--url", one.ready.HTTP)
	two.call("PUT", "/areas/late", `{"name":"Today"}`).want(t, http.StatusOK, nil)
	two.call("POST", "/areas", `{"id":"new","name":"New"}`).want(t, http.StatusCreated, nil)
	name("late", "Today", one, two)
	again := func(args ...string) {
		t.Helper()
		one.signal(syscall.SIGKILL)
		one.wait()
		if len(args) == 0 {
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
		}
		one.must(append([]string{"restore", file, "--data", data}, args...)...)
		one = l.node("hub-1", data)
	}
	again()
	name("late", "Today", one, two)
	name("new", "New", one, two)
	again("--force")
	name("late", "Yesterday", one, two)
	name("new", "New", one, two)
}

// answersWith waits until an answer of REST has a text in it.
func (s *serve) answersWith(path, has string) {
	s.hub.t.Helper()
	s.hub.until(path+" shows "+has, func() bool {
		got := s.call("GET", path, nil)
		return got.status == http.StatusOK && strings.Contains(string(got.body), has)
	})
}
