package signalr_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// bearer accepts "NAME" and "NAME/SECONDS" as tokens, in the header or the query.
func bearer(r *http.Request) (signalr.Principal, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.URL.Query().Get("access_token")
	}
	name, life, timed := strings.Cut(token, "/")
	who := signalr.Principal{Name: name}
	if name == "" {
		return who, errors.New("no token")
	}
	if timed {
		d, err := time.ParseDuration(life + "s")
		if err != nil {
			return who, err
		}
		who.Expires = time.Now().Add(d)
	}
	return who, nil
}

func TestOpeningRequest(t *testing.T) {
	for _, by := range []signalrtest.Transport{signalrtest.WebSockets, signalrtest.ServerSentEvents, signalrtest.LongPolling} {
		conns := make(chan *signalr.Conn, 1)
		h := newSite(t, signalr.Config{Authenticate: bearer}, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { conns <- c }) })
		c, err := signalrtest.Dial(t.Context(), hubURL+"?attr=gate", signalrtest.Options{
			NetDial: h.pipe.Dial, Transport: by, AccessToken: "ada", Header: http.Header{"X-Test": {"a", "b"}, "Cookie": {"one=1; two=2"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		o := <-conns
		if o.Query().Get("attr") != "gate" || o.Header("x-test") != "a,b" || o.Header("Nope") != "" || o.Cookie("two") != "2" || o.Cookie("nope") != "" {
			t.Errorf("%v: query %v, header %q, cookie %q", o.Transport(), o.Query(), o.Header("x-test"), o.Cookie("two"))
		}
		if o.Header("Authorization") != "" || o.User() != "ada" || o.ID() != c.ID() {
			t.Errorf("%v: %q of %q", o.Transport(), o.Header("Authorization"), o.User())
		}
		_ = c.Close()
	}
}

func TestClientsOverEveryTransport(t *testing.T) {
	for _, over := range []string{"HTTP", "TLS", "HTTP/2"} {
		for i, by := range []signalrtest.Transport{
			signalrtest.WebSockets, signalrtest.ServerSentEvents, signalrtest.LongPolling, signalrtest.WebSockets, signalrtest.LongPolling,
		} {
			ended := make(chan error, 1)
			two := over == "HTTP/2" && by != signalrtest.WebSockets // which needs the older one
			cfg := signalr.Config{AllowStatefulReconnects: true, Authenticate: func(r *http.Request) (signalr.Principal, error) {
				if r.URL.Query().Has("id") && (r.ProtoMajor == 2) != two {
					t.Errorf("%s, transport %d: came by %s", over, by, r.Proto)
				}
				return signalr.Principal{}, nil
			}}
			h := newSite(t, cfg, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
			opts := signalrtest.Options{Transport: by, Stateful: by == signalrtest.WebSockets}
			if i > 2 {
				opts.Protocol = protocol.MessagePack
			}
			web := httptest.NewUnstartedServer(h)
			if over == "HTTP" {
				web.Start()
			} else {
				web.EnableHTTP2 = two
				web.StartTLS()
				opts.TLS = web.Client().Transport.(*http.Transport).TLSClientConfig
			}
			next, all := 0, make(chan struct{})
			opts.On = map[string]func([]json.RawMessage){"Push": func(args []json.RawMessage) {
				var i int
				_ = json.Unmarshal(args[0], &i)
				if i != next {
					t.Errorf("transport %d: got %d, want %d", by, i, next)
				}
				if next++; next == 2000 {
					close(all)
				}
			}}
			c, err := signalrtest.Dial(t.Context(), web.URL+"/hub", opts)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.Repeat("x", 20_000)
			if got := invoke(t, c, "Echo", text); got != `"`+text+`"` {
				t.Errorf("transport %d: echo of %d bytes", by, len(got))
			}
			invoke(t, c, "Burst", 1000)
			if opts.Stateful {
				c.Cut()
			}
			for i := range 1000 {
				_ = h.Conns()[0].Send("Push", 1000+i)
			}
			<-all
			_ = c.Close()
			if err := <-ended; err != nil {
				t.Errorf("transport %d: ended with %v", by, err)
			}
			web.Close()
		}
	}
}

func TestConnectionsPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{Authenticate: bearer, MaximumConnectionsPerUser: 2}, nil)
		a := h.greeted(t, "?access_token=ada") // without negotiation
		h.negotiate(t, "?access_token=ada")
		for method, path := range map[string]string{"POST": "/negotiate?access_token=ada", "GET": "?access_token=ada"} {
			header := []string(nil)
			if method == "GET" {
				header = upgrading
			}
			if w := h.status(method, hubURL+path, header...); w.Code != 429 {
				t.Errorf("third connection, %s: %d", method, w.Code)
			}
		}
		h.negotiate(t, "?access_token=bob")
		a.send("{\"type\":7}\x1e")
		a.want("EOF")
		time.Sleep(time.Second)
		h.negotiate(t, "?access_token=ada")
		time.Sleep(17 * time.Second) // unopened ones are forgotten
		h.negotiate(t, "?access_token=ada")
		h.negotiate(t, "?access_token=ada")
	})
}

func TestRedirect(t *testing.T) {
	h := newSite(t, signalr.Config{Authenticate: bearer, Redirect: func(r *http.Request, who signalr.Principal) signalr.Redirection {
		if who.Name != "ada" {
			return signalr.Redirection{}
		}
		return signalr.Redirection{URL: "http://hub.test/hub?moved=" + r.URL.Query().Get("n"), AccessToken: "bob"}
	}}, nil)
	w := h.status("POST", hubURL+"/negotiate?negotiateVersion=1&n=3", "Authorization", "Bearer ada")
	if got := strings.TrimSpace(w.Body.String()); got != `{"negotiateVersion":1,"url":"http://hub.test/hub?moved=3","accessToken":"bob"}` {
		t.Errorf("%d %s", w.Code, got)
	}
	c, err := signalrtest.Dial(t.Context(), hubURL, signalrtest.Options{NetDial: h.pipe.Dial, AccessToken: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	invoke(t, c, "Void")
	if o := h.Conns()[0]; o.User() != "bob" || o.Query().Get("moved") != "" && o.Query().Get("moved") != "3" {
		t.Errorf("%q with %v", o.User(), o.Query())
	}
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		h := newSite(t, signalr.Config{Authenticate: bearer, KeepAliveInterval: time.Hour, ClientTimeoutInterval: time.Hour}, func(s *signalr.Server) {
			s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err })
		})
		w := h.status("POST", hubURL+"/negotiate?negotiateVersion=1&access_token=ada/60")
		var a struct {
			ConnectionID, ConnectionToken string
			TokenLifetimeSeconds          int
		}
		_ = json.Unmarshal(w.Body.Bytes(), &a)
		if a.TokenLifetimeSeconds != 60 {
			t.Errorf("negotiated %s", w.Body)
		}
		id := "?id=" + a.ConnectionToken
		if w := h.status("POST", hubURL+"/refresh"+id, "Authorization", "Bearer ada/60"); w.Code != 404 {
			t.Errorf("before opening: %d", w.Code)
		}
		r := h.greeted(t, id+"&access_token=ada/60")
		h.greeted(t, "?access_token=ada") // which does not run out
		for _, tc := range []struct {
			name, method, query, token string
			status                     int
			body                       string
		}{
			{"GET", "GET", id, "ada/60", 405, ""},
			{"no id", "POST", "", "ada/60", 400, "missing_connection_token"},
			{"unknown id", "POST", "?id=x", "ada/60", 404, "connection_not_found"},
			{"public id", "POST", "?id=" + a.ConnectionID, "ada/60", 404, "connection_not_found"},
			{"no token", "POST", id, "", 401, "invalid_token"},
			{"another user", "POST", id, "bob/60", 403, "user_changed"},
			{"renewed", "POST", id, "ada/90", 200, `"tokenLifetimeSeconds":90`},
		} {
			w := h.status(tc.method, hubURL+"/refresh"+tc.query, "Authorization", "Bearer "+tc.token)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.body) {
				t.Errorf("%s: %d %s", tc.name, w.Code, w.Body)
			}
		}
		if w := h.status("POST", hubURL+"/refresh"+id, "Authorization", "Bearer ada/90"); !strings.Contains(w.Body.String(), `"connectionId":"`+a.ConnectionID+`"`) {
			t.Errorf("answered %s", w.Body)
		}
		start := time.Now()
		got := r.next()
		if d := time.Since(start); got != `{"type":7,"allowReconnect":true}` || d < 89*time.Second || d > 92*time.Second {
			t.Errorf("after %v: %s", d, got)
		}
		r.want("EOF")
		if err := <-ended; err != signalr.ErrExpired || h.Stats().Connections != 1 {
			t.Errorf("ended with %v", err)
		}
	})
}

// TestPollsShowNewerTokens: with long polling each request proves who it is.
func TestPollsShowNewerTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{Authenticate: bearer}, nil)
		w := h.polling(t, "access_token=ada/100")
		for range 5 { // each poll waits for 90 s
			if a := w.poll(); a.StatusCode != 200 {
				t.Fatalf("%d %s", a.StatusCode, a.body)
			}
		}
		w.url = strings.Replace(w.url, "ada/100", "ada/5", 1)
		a := w.poll()
		if a.body != "{\"type\":7,\"allowReconnect\":true}\x1e" {
			t.Errorf("%d %q", a.StatusCode, a.body)
		}
		w.url = strings.Replace(w.url, "ada/5", "", 1)
		if a := w.poll(); a.StatusCode != 401 {
			t.Errorf("without a token: %d", a.StatusCode)
		}
	})
}

func TestPathsDoNotHaveACase(t *testing.T) {
	s, err := signalr.New(signalr.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h := s.At("/testhub/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "other") }))
	for path, want := range map[string]string{
		"/testhub/negotiate": "connectionId", "/TestHub/Negotiate": "connectionId", "/testHub/negotiate/": "connectionId",
		"/testhub": "Connection ID required", "/testHub/": "Connection ID required",
		"/testhub2": "other", "/": "other", "/testhub/else": "other", "/x/testhub/negotiate": "other",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "POST", path, nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", path, w.Code, w.Body, want)
		}
	}
}
