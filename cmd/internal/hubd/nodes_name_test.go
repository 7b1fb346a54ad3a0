package hubd

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// TestNameOfALiveNode: a second hub process under a live node's name, with a data
// directory of its own, is refused at its start and says why; the first one does not
// notice. A start of the first one's data directory needs no wait, even after a kill.
func TestNameOfALiveNode(t *testing.T) {
	s := startServer(t)
	data := t.TempDir()
	long := func(c *conf.Config) { c.Redis.NodeTimeout = time.Hour } // nobody's name runs out in this test
	h1, r1, stop1 := started(t, func(c *conf.Config) { s.node("hub-1", data)(c); long(c) })
	idleAt(t, r1)

	cfg := conf.Default()
	cfg.HTTP.Addr, cfg.HTTP.AdminAddr, cfg.MQTT.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	s.node("hub-1", t.TempDir())(&cfg)
	long(&cfg)
	second, err := New(cfg, Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	err = second.Run(t.Context())
	if !errors.Is(err, backplane.ErrTwice) || !strings.Contains(err.Error(), "hub-1") || !strings.Contains(err.Error(), "--node") {
		t.Errorf("the second hub-1 ends with %v", err)
	}
	if resp, err := http.Get(r1.HTTP + "/healthz"); err != nil {
		t.Errorf("the first hub-1: %v", err)
	} else {
		resp.Body.Close()
	}
	if !h1.nodes.mux.Plane().Stats().Connected {
		t.Error("the first hub-1 has lost the others")
	}

	// As after a kill: the name is still there when the same data directory starts.
	plane := h1.nodes.mux.Plane()
	before := plane.Nodes()[0].Life
	const key = "tacet:{tacet-nodes}:hub-1"
	s.do("COPY " + key + " {tacet-nodes}:kept")
	if err := stop1(); err != nil {
		t.Fatal(err)
	}
	s.do("RENAME {tacet-nodes}:kept " + key)
	h1, r1, _ = started(t, func(c *conf.Config) { s.node("hub-1", data)(c); long(c) })
	idleAt(t, r1)
	if after := h1.nodes.mux.Plane().Nodes()[0].Life; after == before {
		t.Errorf("life %d again", after)
	}
}

// do has the server do a command.
func (s *redisServer) do(command string) {
	s.t.Helper()
	c, err := net.Dial("unix", s.socket())
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	answer := make([]byte, 64)
	if _, err := c.Write([]byte(command + "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	if n, err := c.Read(answer); err != nil || answer[0] == '-' || string(answer[:2]) == ":0" {
		s.t.Fatalf("%s is answered %q %v", command, answer[:n], err)
	}
}
