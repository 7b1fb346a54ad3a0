package uplink

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/brokertest"
)

// TestCredentialTakenBack: a device whose credential is revoked says so, once,
// and goes on trying.
func TestCredentialTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		silent := slog.New(slog.DiscardHandler)
		a, err := auth.New(auth.Config{Users: []auth.User{{Name: "ann"}}}, nil, nil, silent)
		if err != nil {
			t.Fatal(err)
		}
		code, err := a.Enrol(ctx, auth.Enrolment{Device: "gate-1", Area: "north"})
		if err != nil {
			t.Fatal(err)
		}
		cred, err := a.Redeem(ctx, "", code.Text)
		if err != nil {
			t.Fatal(err)
		}
		b := brokertest.New(t, func(c *broker.Config) { c.Auth = a })
		var log bytes.Buffer // written by Run's goroutine, read when it has ended
		conns := make(chan net.Conn, 100)
		c, err := New(Config{Hubs: []string{"mqtt://hub"}, ClientID: "gate-1", Username: "gate-1", Password: cred.Secret, Dial: func(context.Context, *url.URL) (net.Conn, error) {
			conn := b.Pipe(t)
			conns <- conn
			return conn, nil
		}}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ups := make(chan bool, 100)
		c.Watch(func(up bool, _ uint64, _ string) { ups <- up })
		var work sync.WaitGroup
		work.Go(func() { _ = c.Run(ctx) })
		if !<-ups {
			t.Fatal("it does not connect")
		}
		if c.Refused() {
			t.Error("it is refused before it is")
		}
		if err := a.Revoke(ctx, "", "gate-1"); err != nil {
			t.Fatal(err)
		}
		_ = (<-conns).Close()
		for range 3 { // it tries again
			<-conns
		}
		time.Sleep(time.Second)
		if !c.Refused() {
			t.Error("it does not know that it is refused")
		}
		cancel()
		work.Wait()
		if n := strings.Count(log.String(), "does not take this device's credential"); n != 1 {
			t.Errorf("it was said %d times, want once: %s", n, log.String())
		}
	})
}

// TestAbsentHubIsToldNowAndAgain: a device may be without a hub for days; the log
// says so at once, and then every five minutes.
func TestAbsentHubIsToldNowAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer // written by Run's goroutine, read when it has ended
		tries := 0
		c, err := New(Config{Hubs: []string{"mqtt://hub"}, ClientID: "gate-1", Dial: func(context.Context, *url.URL) (net.Conn, error) {
			tries++
			return nil, net.ErrClosed
		}}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 11*time.Minute)
		defer cancel()
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "the hub cannot be reached"); n != 3 || tries < 40 {
			t.Errorf("said %d times in %d tries, want 3 in 40 or more: %s", n, tries, log.String())
		}
	})
}
