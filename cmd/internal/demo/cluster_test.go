package demo

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// What a node is given is the site, and nothing that serve would refuse.
func TestSiteFile(t *testing.T) {
	dir := t.TempDir()
	m := member{name: "hub-1", http: "127.0.0.1:8081", admin: "127.0.0.1:8091", mqtt: "127.0.0.1:1883", data: filepath.Join(dir, "hub-1"), file: filepath.Join(dir, "hub-1.yaml")}
	if err := writeSite(m, "unix:///run/redis.sock"); err != nil {
		t.Fatal(err)
	}
	got, err := conf.Load(conf.Default(), conf.Flags{}, []string{"TACET_CONFIG=" + m.file})
	if err != nil {
		t.Fatal(err)
	}
	want := Site()
	if got.Node != "hub-1" || got.Redis.URL != "unix:///run/redis.sock" || got.Redis.NodeTimeout != clusterDead || got.HTTP.Addr != m.http || got.MQTT.Addr != m.mqtt || got.Data != m.data {
		t.Errorf("the node is %+v", got)
	}
	if len(got.Areas) != len(want.Areas) || len(got.Mappings) != len(want.Mappings) || len(got.Schedules) != len(want.Schedules) {
		t.Fatalf("%d areas, %d mappings, %d schedules", len(got.Areas), len(got.Mappings), len(got.Schedules))
	}
	for i, a := range got.Areas {
		if w := want.Areas[i]; a.ID != w.ID || a.Name != w.Name || a.Volume != w.Volume || !slices.Equal(a.Locations, w.Locations) || a.Lease != clusterLease {
			t.Errorf("area %+v, want %+v", a, w)
		}
	}
	for i, s := range got.Schedules {
		if w := want.Schedules[i]; s.ID != w.ID || *s.Work.Message != *w.Work.Message || s.Work.Chime != w.Work.Chime || *s.Work.Priority != *w.Work.Priority || (s.Every == nil) != (w.Every == nil) {
			t.Errorf("schedule %+v, want %+v", s, w)
		}
	}
}

func TestPorts(t *testing.T) {
	cfg := Site()
	front, list, err := plan(cfg, 2)
	if err != nil || front != "127.0.0.1:8080" || list[0].http != "127.0.0.1:8081" || list[1].http != "127.0.0.1:8082" || list[1].mqtt != "127.0.0.1:1884" || list[1].admin != "127.0.0.1:8091" {
		t.Errorf("%s %+v, %v", front, list, err)
	}
	any, err := ports("127.0.0.1:0", 5)
	if slices.Sort(any); err != nil || len(slices.Compact(any)) != 5 {
		t.Errorf("%v, %v", any, err)
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:x", "127.0.0.1:65535"} {
		if list, err := ports(addr, 2); err == nil {
			t.Errorf("%s: %v", addr, list)
		}
	}
	for _, n := range []int{0, 1, 9} {
		if _, _, err := plan(cfg, n); err == nil {
			t.Errorf("%d nodes are taken", n)
		}
	}
}

// A cluster does not start where another already runs.
func TestPortsInUse(t *testing.T) {
	cfg := Site()
	cfg.HTTP.Addr, cfg.HTTP.AdminAddr, cfg.MQTT.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	front, list, err := plan(cfg, 2)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	list[1].mqtt = l.Addr().String()
	if err := free(front, list); err == nil || !strings.Contains(err.Error(), list[1].mqtt+": bind: ") || !strings.Contains(err.Error(), "--mqtt") {
		t.Errorf("with a broker there: %v", err)
	}
}

// Who lacks a program is told of which package it is.
func TestWhatIsMissing(t *testing.T) {
	if _, err := os.Stat("/usr/sbin/nginx"); err == nil {
		if _, _, err := programs(false); err != nil {
			t.Errorf("nginx is there: %v", err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := lookPath("no-such", "/nowhere/no-such"); err == nil {
		t.Error("what is not there is found")
	}
	cfg := Site()
	cfg.Data = t.TempDir()
	if err := RunCluster(t.Context(), cfg, Cluster{Nodes: 1}, slog.New(slog.DiscardHandler), io.Discard); err == nil {
		t.Error("a cluster of one node runs")
	}
}

// A program that ends is started again, and its end and its return are told.
func TestChildIsStartedAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	said, out := io.Pipe()
	c := &child{name: "x", program: "/bin/sh", args: []string{"-c", `echo hello; test -n "$TACET_NODE"`}, log: filepath.Join(t.TempDir(), "log"), said: &lines{to: out}}
	t.Setenv("TACET_NODE", "of the parent") // which is not handed on
	ended := make(chan error, 1)
	go func() { ended <- c.run(ctx); _ = out.Close() }()
	told, _ := io.ReadAll(said)
	err := <-ended
	if err == nil || !strings.Contains(err.Error(), c.log) {
		t.Errorf("a program that does not stay ends with %v", err)
	}
	n := strings.Count(string(told), "x has ended (exit status 1)")
	if n < mostQuick-1 || strings.Count(string(told), "x is process ") != n { // more where the machine was too busy for a quick end
		t.Errorf("told was %q", told)
	}
	if b, err := os.ReadFile(c.log); err != nil || bytes.Count(b, []byte("hello")) != n+1 {
		t.Errorf("the log has %q, %v", b, err)
	}
}

// A program that ends before it ever answered is not started again: the end of what it
// said is told.
func TestChildThatDoesNotStart(t *testing.T) {
	c := &child{name: "x", program: "/bin/sh", args: []string{"-c", `echo hello; echo the port is taken; exit 1`}, log: filepath.Join(t.TempDir(), "log"), said: &lines{to: io.Discard}, must: true}
	if err := c.run(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 1): the port is taken; see "+c.log) {
		t.Errorf("it ends with %v", err)
	}
}

// A crew ends in order when it is asked to, and says when a program does not stay.
func TestCrew(t *testing.T) {
	dir := t.TempDir()
	c := newCrew(t.Context(), func() { t.Error("it does not stay") }, &child{name: "x", program: "/bin/sh", args: []string{"-c", "exec sleep 1000"}, log: filepath.Join(dir, "x"), said: &lines{to: io.Discard}})
	if err := c.end(); err != nil {
		t.Error(err)
	}
	bad := make(chan struct{})
	c = newCrew(t.Context(), func() { close(bad) }, &child{name: "x", program: filepath.Join(dir, "none"), log: filepath.Join(dir, "x"), said: &lines{to: io.Discard}})
	select {
	case <-bad:
	case <-time.After(time.Minute):
		t.Error("a program that is not there is not told")
	}
	if err := c.end(); err == nil {
		t.Error("a crew that failed ends without an error")
	}
}
