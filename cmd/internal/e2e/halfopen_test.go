package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestHalfOpenConnections: 1,000 connections that never come to their point, on
// each of the ports, do not keep a client out of a hub that may have 256
// descriptors, and are all gone when their time is over.
func TestHalfOpenConnections(t *testing.T) {
	t.Parallel()
	cert, key, _ := brokertest.NewCA(t).Files(t, t.TempDir(), "hub")
	site := siteFile + fmt.Sprintf("mqtt: {tls: {addr: \"127.0.0.1:0\", cert_file: %s, key_file: %s}}\n", cert, key)
	s := startWith(t, t.TempDir(), site, "/bin/sh", "-c", `ulimit -n 256 && exec "$0" "$@"`, tacet(t))
	web, mqtt, mqtts := strings.TrimPrefix(s.ready.HTTP, "http://"), strings.TrimPrefix(s.ready.MQTT, "mqtt://"), strings.TrimPrefix(*s.ready.MQTTS, "mqtts://")
	var open []net.Conn
	for range 250 {
		for _, c := range []struct{ addr, say string }{
			{mqtt, ""}, {mqtt, "\x10\x12\x00\x04MQTT"},
			{mqtts, ""}, {mqtts, "\x16\x03\x01\x02\x00\x01\x00"},
			{web, ""}, {web, "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"},
		} {
			conn, err := net.DialTimeout("tcp", c.addr, patience)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = io.WriteString(conn, c.say) // fails where it has been cut already
			open = append(open, conn)
		}
		if len(open)%300 == 0 { // somebody who means it
			s.publish("a", "x")
			if code := s.status(t, s.ready.HTTP+"/healthz"); code != http.StatusOK {
				t.Errorf("with %d open: %d", len(open), code)
			}
		}
	}
	for i, conn := range open {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if n, err := io.Copy(io.Discard, conn); isTimeout(err) {
			t.Fatalf("connection %d is still there, %d bytes came", i, n)
		}
	}
	for _, line := range []string{"tacet_broker_half_open 0\n", "tacet_web_newcomers 0\n"} {
		s.figure(t, line)
	}
	s.publish("a", "x")
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

// status asks on a connection of its own.
func (h *hub) status(t *testing.T, url string) int {
	t.Helper()
	h.web.CloseIdleConnections()
	resp, err := h.web.Get(url)
	if err != nil {
		t.Errorf("%s: %v", url, err)
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// figure waits for a line of the metrics: a peer sees the end of a connection
// before the hub has counted it.
func (h *hub) figure(t *testing.T, line string) {
	t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(patience); ; <-again.C {
		figures := h.body(t, h.ready.Admin+"/metrics")
		if strings.Contains(figures, line) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the metrics do not say %q: %s", line, figures)
		}
	}
}

func (h *hub) body(t *testing.T, url string) string {
	t.Helper()
	resp, err := h.web.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
