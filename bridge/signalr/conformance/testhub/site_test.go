package testhub

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/bridge/signalr/transport"
)

// start serves a site and returns its address.
func start(t *testing.T) string {
	t.Helper()
	site, err := New(signalr.Config{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = site.Run(ctx) })
	server := httptest.NewServer(site)
	t.Cleanup(func() { stop(); running.Wait(); server.CloseClientConnections(); server.Close() })
	return server.URL
}

// fetch makes a request and gives the answer and its body; headers are name, value, …
func fetch(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(text)
}

func TestEndpoints(t *testing.T) {
	site := start(t)
	_, token := fetch(t, "GET", site+"/generateJwtToken", "")
	for _, tc := range []struct {
		method, path string
		headers      []string
		status       int
		body         string // contains
	}{
		{"POST", "/bad-negotiate/negotiate?negotiateVersion=1", nil, 400, "Some response from server"},
		{"POST", "/redirect/negotiate?baseUrl=http://x", nil, 200, `{ "url": "http://x/testHub?numRedirects=1" }`},
		{"POST", "/redirect/negotiate?baseUrl=http://x", nil, 200, `{ "url": "http://x/testHub?numRedirects=2" }`},
		{"POST", "/testHub/negotiate?negotiateVersion=1", nil, 200, `"transport":"WebSockets"`},
		{"POST", "/testhub-nowebsockets/negotiate?negotiateVersion=1", nil, 200, `"availableTransports":[{"transport":"ServerSentEvents"`},
		{"POST", "/authorizedhub/negotiate", nil, 401, ""},
		{"POST", "/authorizedhub/negotiate", []string{"Authorization", "Bearer " + token}, 200, "connectionId"},
		{"POST", "/authorizedhub/negotiate?access_token=" + token, nil, 200, "connectionId"},
		{"POST", "/authorizedhub/negotiate", []string{"Authorization", "Bearer " + token + "x"}, 401, ""},
		{"POST", "/echo/negotiate", nil, 200, `"connectionToken"`},
		{"GET", "/echo?id=unknown", nil, 404, ""},
		{"GET", "/clientresult/nobody", nil, 200, "Connection 'nobody' does not exist."},
		{"GET", "/nothing", nil, 404, ""},
		{"OPTIONS", "/testhub/negotiate", []string{"Origin", "http://a.example", "Access-Control-Request-Headers", "x-requested-with"}, 204, ""},
	} {
		resp, body := fetch(t, tc.method, site+tc.path, "", tc.headers...)
		if resp.StatusCode != tc.status || !strings.Contains(body, tc.body) {
			t.Errorf("%s %s: %d %s, want %d %s", tc.method, tc.path, resp.StatusCode, body, tc.status, tc.body)
		}
	}
	resp, _ := fetch(t, "POST", site+"/echoredirect/negotiate?a=b", "")
	if resp.StatusCode != 307 || resp.Header.Get("Location") != site+"/echo/negotiate?a=b" {
		t.Errorf("redirect: %d to %s", resp.StatusCode, resp.Header.Get("Location"))
	}
	if resp, body := fetch(t, "POST", site+"/authorizedhub/negotiate", ""); resp.StatusCode != 401 || body != "" {
		t.Errorf("without a token: %d %q", resp.StatusCode, body) // a body would be in the client's error
	}
	resp, _ = fetch(t, "POST", site+"/testhub/negotiate", "", "Origin", "http://a.example")
	if got := resp.Header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "http://a.example" {
		t.Errorf("allowed origin %q", got)
	}
	var names []string
	for _, c := range resp.Cookies() {
		names = append(names, fmt.Sprintf("%s=%s %t", c.Name, c.Value, c.Expires.IsZero()))
	}
	if got := strings.Join(names, ", "); got != "testCookie=testValue true, testCookie2=testValue2 true, expiredCookie=doesntmatter false" {
		t.Errorf("cookies %s", got)
	}
}

func TestClientResultEndpoint(t *testing.T) {
	site := start(t)
	c, err := signalrtest.Dial(context.Background(), site+"/testhub", signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if _, err := c.Invoke(context.Background(), "Void"); err != nil {
		t.Fatal(err)
	}
	asked := func() string { _, body := fetch(t, "GET", site+"/clientresult/"+c.ID(), ""); return body }
	if got := asked(); got != "Client didn't provide a result." {
		t.Errorf("without a handler: %s", got)
	}
	c.Answer("Result", func([]json.RawMessage) (any, error) { return 12, nil })
	if got := asked(); got != "12" {
		t.Errorf("answer %s", got)
	}
}

func TestUncreatableHub(t *testing.T) {
	c, err := signalrtest.Dial(context.Background(), start(t)+"/uncreatable", signalrtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	<-c.Closed()
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "Connection closed with an error. InvalidOperationException: "+
		"Unable to resolve service for type 'System.Object' while attempting to activate 'FunctionalTests.UncreatableHub'.") {
		t.Errorf("ended with %v", err)
	}
}

// open negotiates an echo and returns its address.
func open(t *testing.T, site string) string {
	t.Helper()
	_, body := fetch(t, "POST", site+"/echo/negotiate?negotiateVersion=1", "")
	var answer struct{ ConnectionToken string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	return site + "/echo?id=" + answer.ConnectionToken
}

func TestEchoOverWebSockets(t *testing.T) {
	url := open(t, start(t))
	link, err := transport.Dial(context.Background(), "ws"+strings.TrimPrefix(url, "http"), transport.DialConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = link.Close() }()
	for _, text := range []string{"hello", "wörld"} {
		if err := link.Send([]byte(text)); err != nil {
			t.Fatal(err)
		}
		var got string
		for got == "" {
			if err := link.Receive(func(p []byte) error { got += string(p); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if got != text {
			t.Errorf("echo of %s is %s", text, got)
		}
	}
}

func TestEchoOverLongPolling(t *testing.T) {
	url := open(t, start(t))
	if resp, body := fetch(t, "GET", url, ""); resp.StatusCode != 200 || body != "" {
		t.Errorf("first poll: %d %s", resp.StatusCode, body)
	}
	if resp, _ := fetch(t, "POST", url, "hello"); resp.StatusCode != 200 {
		t.Errorf("post: %d", resp.StatusCode)
	}
	if resp, body := fetch(t, "GET", url, ""); resp.StatusCode != 200 || body != "hello" {
		t.Errorf("poll: %d %s", resp.StatusCode, body)
	}
	if resp, _ := fetch(t, "DELETE", url, ""); resp.StatusCode != 202 {
		t.Errorf("delete: %d", resp.StatusCode)
	}
	if resp, _ := fetch(t, "POST", url, "late"); resp.StatusCode != 404 {
		t.Errorf("late post: %d", resp.StatusCode)
	}
}

func TestEchoOverServerSentEvents(t *testing.T) {
	url := open(t, start(t))
	r, _ := http.NewRequest("GET", url, nil)
	r.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Scan()
	if resp, _ := fetch(t, "POST", url, "hello"); resp.StatusCode != 200 {
		t.Errorf("post: %d", resp.StatusCode)
	}
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if text != "hello" {
				t.Errorf("echo is %s", text)
			}
			return
		}
	}
	t.Errorf("stream ended: %v", lines.Err())
}
