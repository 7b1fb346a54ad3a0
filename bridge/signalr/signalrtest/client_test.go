package signalrtest_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

func TestNegotiateFollowsRedirections(t *testing.T) {
	users := make(chan string, 1)
	hub, err := signalr.New(signalr.Config{Authenticate: func(r *http.Request) (signalr.Principal, error) {
		return signalr.Principal{Name: strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")}, nil
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	hub.OnConnect(func(c *signalr.Conn) {
		users <- c.User() + " " + c.Query().Get("n")
		_ = c.Send("Hello", 1)
	})
	mux := http.NewServeMux()
	mux.Handle("/hub/", hub)
	mux.Handle("/hub", hub)
	mux.HandleFunc("POST /elsewhere/negotiate", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"url":"http://hub.test/hub?n=1","accessToken":"second"}`)
	})
	mux.HandleFunc("POST /closed/negotiate", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"error":"come back later"}`) })
	mux.HandleFunc("POST /loop/negotiate", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"url":"http://hub.test/loop"}`)
	})
	web := signalrtest.NewPipe(mux)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) })
	defer func() { stop(); running.Wait(); _ = web.Close() }()

	hello := make(chan string, 1)
	on := map[string]func([]json.RawMessage){"hello": func(args []json.RawMessage) { hello <- string(args[0]) }}
	c, err := signalrtest.Dial(ctx, "http://hub.test/elsewhere", signalrtest.Options{NetDial: web.Dial, AccessToken: "first", On: on})
	if err != nil {
		t.Fatal(err)
	}
	if got := <-users; got != "second 1" {
		t.Errorf("connected as %q", got)
	}
	if got := <-hello; got != "1" {
		t.Errorf("heard %q", got)
	}
	_ = c.Close()
	if c.Err() != signalrtest.ErrClosed {
		t.Errorf("ended with %v", c.Err())
	}
	for path, want := range map[string]string{"closed": "come back later", "loop": "too many redirections", "none": "status 404"} {
		if _, err := signalrtest.Dial(ctx, "http://hub.test/"+path, signalrtest.Options{NetDial: web.Dial}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}
