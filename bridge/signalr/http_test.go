package signalr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

type answered struct {
	NegotiateVersion    int
	ConnectionID        string
	ConnectionToken     string
	Error               string
	AvailableTransports []struct {
		Transport       string
		TransferFormats []string
	}
}

func (h *site) negotiate(t *testing.T, query string) (a answered) {
	t.Helper()
	w := h.status("POST", hubURL+"/negotiate"+query)
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("negotiate%s: %d %v", query, w.Code, w.Header())
	}
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	return a
}

func TestNegotiate(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	for _, tc := range []struct {
		query   string
		version int
		token   bool
		fault   string
	}{
		{"", 0, false, ""}, {"?negotiateVersion=0", 0, false, ""}, {"?negotiateVersion=1", 1, true, ""}, {"?negotiateVersion=99", 1, true, ""},
		{"?negotiateVersion=x", 0, false, "The client requested an invalid protocol version 'x'"},
		{"?negotiateVersion=-1", 0, false, "The client requested version '-1', but the server does not support this version."},
	} {
		a := h.negotiate(t, tc.query)
		if a.NegotiateVersion != tc.version || a.Error != tc.fault || (a.ConnectionToken != "") != tc.token || (a.ConnectionID != "") != (tc.fault == "") {
			t.Errorf("%q: %+v", tc.query, a)
		}
		if want := "[{WebSockets [Text Binary]} {ServerSentEvents [Text]} {LongPolling [Text Binary]}]"; tc.fault == "" && (fmt.Sprint(a.AvailableTransports) != want || a.ConnectionID == a.ConnectionToken) {
			t.Errorf("%q: %+v", tc.query, a)
		}
	}
}

// TestIDs: ids and tokens are long, go into a URL as they are, and never come
// twice.
func TestIDs(t *testing.T) {
	h := newSite(t, signalr.Config{Transports: signalr.ServerSentEvents | signalr.LongPolling}, nil)
	form, seen := regexp.MustCompile(`^[A-Za-z0-9_-]{22,}$`), make(map[string]bool) // 22 of 64 letters: 128 bits and more
	for range 1000 {
		a := h.negotiate(t, "?negotiateVersion=1")
		for _, id := range []string{a.ConnectionID, a.ConnectionToken} {
			if seen[id] || !form.MatchString(id) {
				t.Fatalf("id %q, seen before: %t", id, seen[id])
			}
			seen[id] = true
		}
		if got := fmt.Sprint(a.AvailableTransports); got != "[{ServerSentEvents [Text]} {LongPolling [Text Binary]}]" {
			t.Fatalf("transports %s, want those that are on", got)
		}
	}
}

// TestLogsHaveNoSecrets: neither the user's token nor that of the connection,
// however much is logged.
func TestLogsHaveNoSecrets(t *testing.T) {
	var logged logBuffer
	s, err := signalr.New(signalr.Config{Authenticate: bearer}, slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	methods(s)
	ended := make(chan struct{}, 4)
	s.OnDisconnect(func(*signalr.Conn, error) { ended <- struct{}{} })
	h := &site{Server: s, pipe: signalrtest.NewPipe(s)}
	defer h.pipe.Close()
	a := h.negotiate(t, "?negotiateVersion=1&access_token=geheim")
	r := h.greeted(t, "?access_token=geheim&id="+a.ConnectionToken)
	r.send(`{"type":1,"invocationId":"1","target":"Panic","arguments":["geheim"]}` + "\x1e")
	r.next()
	r.send("{]geheim\x1e")
	r.want(fmt.Sprintf(parted, "error reading JSON"), "EOF")
	<-ended
	h.status("GET", hubURL+"?access_token=geheim&id="+a.ConnectionToken, upgrading...)
	if text := logged.String(); !strings.Contains(text, "client broke the protocol") || strings.Contains(text, "geheim") || strings.Contains(text, a.ConnectionToken) {
		t.Errorf("logged:\n%s", text)
	}
}

// logBuffer may be written to by many.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestStatuses(t *testing.T) {
	h := newSite(t, signalr.Config{AllowedOrigins: []string{"https://wall.test"}, Transports: signalr.WebSockets | signalr.LongPolling}, nil)
	a := h.negotiate(t, "?negotiateVersion=1")
	b := h.negotiate(t, "?negotiateVersion=1")
	h.greeted(t, "?id="+b.ConnectionToken)
	for _, tc := range []struct {
		name, method, path string
		header             []string
		want               int
	}{
		{"negotiate by GET", "GET", "/negotiate", nil, 405},
		{"negotiate, case and slash", "POST", "/Negotiate/", nil, 200},
		{"nothing", "GET", "", nil, 400},
		{"POST without id", "POST", "", nil, 400},
		{"unknown id", "GET", "?id=x", nil, 404},
		{"upgrade with unknown id", "GET", "?id=x", upgrading, 404},
		{"upgrade with the public id", "GET", "?id=" + a.ConnectionID, upgrading, 404},
		{"second socket", "GET", "?id=" + b.ConnectionToken, upgrading, 409},
		{"transport that is off", "GET", "?id=" + a.ConnectionToken, []string{"Accept", "text/event-stream"}, 404},
		{"other transport", "GET", "?id=" + b.ConnectionToken, nil, 400},
		{"POST before opening", "POST", "?id=" + a.ConnectionToken, nil, 404},
		{"DELETE before opening", "DELETE", "?id=" + a.ConnectionToken, nil, 400},
		{"POST to a WebSocket", "POST", "?id=" + b.ConnectionToken, nil, 405},
		{"DELETE of a WebSocket", "DELETE", "?id=" + b.ConnectionToken, nil, 400},
		{"DELETE of nothing", "DELETE", "?id=x", nil, 404},
		{"PUT", "PUT", "", nil, 405},
		{"foreign origin", "POST", "/negotiate", []string{"Origin", "https://evil.test"}, 403},
		{"foreign origin upgrades", "GET", "", append([]string{"Origin", "https://evil.test"}, upgrading...), 403},
		{"own origin", "POST", "/negotiate", []string{"Origin", "http://hub.test"}, 200},
		{"allowed origin", "POST", "/negotiate", []string{"Origin", "https://wall.test"}, 200},
		{"preflight", "OPTIONS", "/negotiate", []string{"Origin", "https://wall.test", "Access-Control-Request-Headers", "x-signalr-user-agent"}, 204},
	} {
		w := h.status(tc.method, hubURL+tc.path, tc.header...)
		if w.Code != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, w.Code, tc.want)
		}
		if allow := w.Header().Get("Access-Control-Allow-Origin"); (allow != "") != (len(tc.header) > 1 && tc.header[0] == "Origin" && tc.want < 300) {
			t.Errorf("%s: allowed origin %q", tc.name, allow)
		}
	}
}

func TestMaximumConnections(t *testing.T) {
	h := newSite(t, signalr.Config{MaximumConnections: 1}, nil)
	h.greeted(t, "")
	for method, header := range map[string][]string{"POST": nil, "GET": upgrading} {
		if w := h.status(method, hubURL+map[string]string{"POST": "/negotiate"}[method], header...); w.Code != 503 {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	who := make(chan *signalr.Conn, 1)
	h := newSite(t, signalr.Config{Authenticate: func(r *http.Request) (signalr.Principal, error) {
		switch token := r.URL.Query().Get("access_token"); token {
		case "ada", "bob":
			return signalr.Principal{Name: token, Claims: map[string]any{"role": "x"}}, nil
		case "eve":
			return signalr.Principal{}, fmt.Errorf("eve: %w", signalr.ErrForbidden)
		}
		return signalr.Principal{}, errors.New("no token")
	}}, func(s *signalr.Server) { s.OnConnect(func(c *signalr.Conn) { who <- c }) })
	for query, want := range map[string]int{"": 401, "?access_token=eve": 403, "?access_token=ada": 200} {
		if w := h.status("POST", hubURL+"/negotiate"+query); w.Code != want {
			t.Errorf("%q: %d, want %d", query, w.Code, want)
		}
	}
	a := h.negotiate(t, "?access_token=ada&negotiateVersion=1")
	if w := h.status("GET", hubURL+"?access_token=bob&id="+a.ConnectionToken, upgrading...); w.Code != 403 {
		t.Errorf("another user's ticket: %d", w.Code)
	}
	h.greeted(t, "?access_token=ada&attr.role=gate&id="+a.ConnectionToken)
	c := <-who
	if c.User() != "ada" || c.ID() != a.ConnectionID || c.Principal().Claims["role"] != "x" {
		t.Errorf("connected as %+v, %s", c.Principal(), c.ID())
	}
	if q := c.Query(); q.Get("attr.role") != "gate" || strings.Contains(q.Encode(), "ada") || q.Has("id") {
		t.Errorf("query %v", q)
	}
}

func TestUnopenedNegotiations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{MaximumNegotiated: 2}, nil)
		a := h.negotiate(t, "?negotiateVersion=1")
		h.negotiate(t, "")
		if w := h.status("POST", hubURL+"/negotiate"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("over the cap: %d", w.Code)
		}
		if s := h.Stats(); s.Negotiated != 2 {
			t.Errorf("%+v", s)
		}
		time.Sleep(16 * time.Second)
		if w := h.status("GET", hubURL+"?id="+a.ConnectionToken, upgrading...); w.Code != 404 {
			t.Errorf("opened after 16 s: %d", w.Code)
		}
		if s := h.Stats(); s.Negotiated != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTokenEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{}, nil)
		a := h.negotiate(t, "?negotiateVersion=1")
		r := h.greeted(t, "?id="+a.ConnectionToken)
		synctest.Wait()
		if w := h.status("GET", hubURL+"?id="+a.ConnectionToken, upgrading...); w.Code != 409 {
			t.Errorf("while it is open: %d", w.Code)
		}
		r.send(`{"type":1,"invocationId":"1","target":"Void","arguments":[]}` + "\x1e")
		r.want(`{"type":3,"invocationId":"1"}`) // the intruder did no harm
		_ = r.link.Close()
		synctest.Wait()
		if w := h.status("GET", hubURL+"?id="+a.ConnectionToken, upgrading...); w.Code != 404 {
			t.Errorf("after its end: %d", w.Code)
		}
	})
}
