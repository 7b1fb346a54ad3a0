package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/conformance/testhub"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// serve runs a hub or a site behind a test server.
func serve(t *testing.T, h http.Handler, run func(context.Context) error, secure bool) string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = run(ctx) })
	server := httptest.NewUnstartedServer(h)
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() { stop(); running.Wait(); server.Close() })
	return server.URL
}

// One hub on two hosts gives the same answers.
func TestTwoHostsOneHub(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	site, err := testhub.New(signalr.Config{}, log)
	if err != nil {
		t.Fatal(err)
	}
	hub, handler, err := host(log)
	if err != nil {
		t.Fatal(err)
	}
	hosts := []string{
		serve(t, site, site.Run, false) + "/testhub",
		serve(t, handler, hub.Run, true) + "/app/live/hub",
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var clients []*signalrtest.Client
	for _, url := range hosts {
		c, err := signalrtest.Dial(ctx, url, signalrtest.Options{TLS: &tls.Config{InsecureSkipVerify: true}}) // the test's own certificate
		if err != nil {
			t.Fatalf("%s: %v", url, err)
		}
		defer func() { _ = c.Close() }()
		c.Answer("Ask", func(args []json.RawMessage) (any, error) { return args, nil })
		clients = append(clients, c)
	}
	for _, tc := range []struct {
		method string
		args   []any
	}{
		{"Echo", []any{"x"}}, {"Echo", []any{nil}}, {"Echo", nil}, {"Void", nil}, {"EchoAny", []any{map[string]any{"a": []int{1}}}},
		{"ThrowException", []any{"boom"}}, {"GetActiveTransportName", nil}, {"SendComplexObject", nil}, {"Nothing", nil},
		{"Counter", []any{1, 1}}, {"JoinGroup", []any{"g"}}, {"ActiveStreams", nil}, {"AskClient", []any{1}}, {"StreamingConcat", nil},
	} {
		var got []string
		for _, c := range clients {
			result, err := c.Invoke(ctx, tc.method, tc.args...)
			text := string(result)
			if err != nil {
				text += " " + err.Error()
			}
			got = append(got, text)
		}
		if got[0] != got[1] {
			t.Errorf("%s(%v): %s on the one host, %s on the other", tc.method, tc.args, got[0], got[1])
		}
	}
}
