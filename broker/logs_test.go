package broker_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

func (s *syncBuffer) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Split(strings.TrimSpace(s.b.String()), "\n")
}

// holding picks the lines that hold all of the words.
func holding(lines []string, words ...string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(l, w) })
	})
}

func logged(t *testing.T) (*broker.Broker, *syncBuffer) {
	t.Helper()
	out := &syncBuffer{}
	b, err := broker.New(broker.Config{}, slog.New(slog.NewTextHandler(out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return b, out
}

// refused publishes n times where only the hub may.
func refused(t *testing.T, b *broker.Broker, client string, n int) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() { _ = b.Establish(theirs) }()
	r := newRaw(t, ours, 5)
	r.connect(client)
	for range n {
		r.send(publishPacket("tacet/area/north/busy", "x", 0, 0))
	}
	r.alive()
}

// TestLogNamesEachClient: one that is refused often hides no other, and what
// was left out is told in time and under the right name.
func TestLogNamesEachClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, out := logged(t)
		run(t, b)
		refused(t, b, "gate-1", 3)
		refused(t, b, "gate-2", 1)
		const text = "publication on a topic of the hub refused"
		for _, want := range []string{"device=gate-1", "device=gate-2"} {
			if got := holding(out.lines(), text, want, "n=1"); len(got) != 1 {
				t.Errorf("%s: %d lines at once, want 1", want, len(got))
			}
		}
		time.Sleep(11 * time.Second)
		if got := holding(out.lines(), text, "device=gate-1", "n=2"); len(got) != 1 {
			t.Errorf("%d lines for the two left out, want 1:\n%s", len(got), strings.Join(out.lines(), "\n"))
		}
		if n := len(holding(out.lines(), text)); n != 3 {
			t.Errorf("%d lines, want 3", n)
		}
	})
}

// TestLogIsBoundedByClients: a flood of names is told by number.
func TestLogIsBoundedByClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, out := logged(t)
		run(t, b)
		for i := range 40 {
			refused(t, b, fmt.Sprint("gate-", i), 1)
		}
		time.Sleep(11 * time.Second)
		if n := len(holding(out.lines(), "msg=\"publication on a topic of the hub refused\"")); n != 32 {
			t.Errorf("%d clients have lines, want 32", n)
		}
		if got := holding(out.lines(), "further clients", "topic of the hub", "n=8"); len(got) != 1 {
			t.Errorf("the other 8 are not told of:\n%s", strings.Join(out.lines(), "\n"))
		}
	})
}

// TestLogSaysWhyThereWasNoSession: from where, and why.
func TestLogSaysWhyThereWasNoSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, out := logged(t)
		run(t, b)
		for _, c := range []struct{ bytes, rule string }{{"GET / HTTP/1.1\r\n\r\n", "rule=malformed"}, {"", "rule=silent"}} {
			ours, theirs := net.Pipe()
			t.Cleanup(func() { _ = ours.Close() })
			go func() { _ = b.Establish(theirs) }()
			_, _ = ours.Write([]byte(c.bytes))
			time.Sleep(time.Minute)
			if got := holding(out.lines(), "connection refused", "conn=", c.rule, "err="); len(got) != 1 {
				t.Errorf("%s: %d lines, want 1:\n%s", c.rule, len(got), strings.Join(out.lines(), "\n"))
			}
		}
		if got := holding(out.lines(), "device="); len(got) != 0 {
			t.Errorf("a device that has no name: %s", got)
		}
	})
}

// TestLogSaysWhyTLSFailed: the peer's address and what was wrong.
func TestLogSaysWhyTLSFailed(t *testing.T) {
	ca, out := brokertest.NewCA(t), &syncBuffer{}
	cfg := broker.Config{TLSAddr: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{ca.Certificate(t, "hub")}}}
	mutual(&cfg, ca)
	b := overTCP(t, cfg, slog.New(slog.NewTextHandler(out, nil)))
	w := b.Watch(0)
	defer w.Close()
	conn, err := dialTLS(b, &tls.Config{RootCAs: ca.Pool})
	if err == nil {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if err == nil {
		t.Fatal("let in without a certificate")
	}
	expectNotice(t, w, broker.RefusedConnect, "tls", "")
	if got := holding(out.lines(), "connection refused", "conn=127.0.0.1:", "rule=tls", "certificate"); len(got) != 1 {
		t.Errorf("%d lines, want 1:\n%s", len(got), strings.Join(out.lines(), "\n"))
	}
}
