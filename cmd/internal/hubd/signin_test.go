package hubd

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// hashed is a password's hash for a configuration, at the least cost.
func hashed(password string) string {
	salt, enc := []byte("salt of tests"), base64.RawStdEncoding
	return "$argon2id$v=19$m=8,t=1,p=1$" + enc.EncodeToString(salt) + "$" + enc.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 8, 1, 32))
}

// manned runs a hub with people: ann operates, vic looks, adm may do all. Each
// has his name as his password.
func manned(t *testing.T, change ...func(*conf.Config)) (*Hub, Ready) {
	t.Helper()
	h, r, _ := started(t, func(c *conf.Config) {
		manning(c)
		for _, f := range change {
			f(c)
		}
	})
	return h, r
}

func manning(c *conf.Config) {
	for name, role := range map[string]string{"ann": "operator", "vic": "viewer", "adm": "admin"} {
		c.Auth.Users = append(c.Auth.Users, conf.User{Name: name, PasswordHash: hashed(name), Roles: []string{role}, Tenant: "default", Areas: []string{"*"}})
	}
}

// lines is a log that tests read.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// ask sends a request to the hub's handler, from an address of its own.
func ask(h *Hub, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://hub.example"+path, strings.NewReader(body))
	for _, head := range headers {
		k, v, _ := strings.Cut(head, ": ")
		r.Header.Set(k, v)
	}
	if body != "" && r.Header.Get("Content-Type") == "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if from := r.Header.Get("X-From"); from != "" {
		r.RemoteAddr = from + ":1234"
	}
	w := httptest.NewRecorder()
	h.guarded(h.atHome(h.routes())).ServeHTTP(w, r)
	return w
}

// login signs somebody in and answers his cookie, for a header.
func login(t *testing.T, h *Hub, name string) string {
	t.Helper()
	w := ask(h, "POST", "/auth/login", `{"name":"`+name+`","password":"`+name+`"}`)
	if w.Code != 200 || len(w.Result().Cookies()) != 1 {
		t.Fatalf("sign-in of %s: %d %s", name, w.Code, w.Body)
	}
	c := w.Result().Cookies()[0]
	return "Cookie: " + c.Name + "=" + c.Value
}

// token signs somebody in as a program does.
func token(t *testing.T, h *Hub, name string) string {
	t.Helper()
	w := ask(h, "POST", "/auth/login", `{"name":"`+name+`","password":"`+name+`","token":true}`)
	var out struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || out.Token == "" || len(w.Result().Cookies()) != 0 {
		t.Fatalf("sign-in of %s: %d %s", name, w.Code, w.Body)
	}
	return out.Token
}

// TestNothingIsAnonymous: with somebody configured, who says not who he is gets
// /healthz, the page, and nothing else.
func TestNothingIsAnonymous(t *testing.T) {
	h, _ := manned(t)
	for path, want := range map[string]int{
		"GET /healthz": 200, "GET /": 200, "GET /licenses.md": 200,
		"GET /readyz": 401, "GET /auth/login": 401, "GET /api/v1/areas": 401, "GET /api/v1/openapi.yaml": 401, "GET /api/v1/nothing": 401,
		"POST /api/v1/orders": 401, "POST /api/v1/stop": 401, "BREW /api/v1/stop": 401,
		"POST /hubs/devices/negotiate?negotiateVersion=1": 401, "GET /hubs/devices": 401, "POST /hubs/devices/refresh?id=x": 401,
		"POST /api/v1/enrolments/AAAA": 404, "GET /metrics": 404, "GET /debug/pprof/": 404, "GET /.git/config": 404,
	} {
		method, path, _ := strings.Cut(path, " ")
		w := ask(h, method, path, "")
		if w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
		}
		if w.Code == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s %s: WWW-Authenticate %q", method, path, w.Header().Get("WWW-Authenticate"))
		}
	}
}

// TestSession: a browser signs in, works with its cookie, and signs out; what
// foreign pages could send does nothing.
func TestSession(t *testing.T) {
	h, _ := manned(t)
	if w := ask(h, "POST", "/auth/login", `{"name":"ann","password":"wrong"}`); w.Code != 401 || len(w.Result().Cookies()) != 0 {
		t.Errorf("a wrong password: %d %s", w.Code, w.Body)
	}
	w := ask(h, "POST", "/auth/login", `{"name":"ann","password":"ann"}`)
	c := w.Result().Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), c.Value) {
		t.Errorf("cookie %+v, body %s", c, w.Body)
	}
	cookie := "Cookie: " + c.Name + "=" + c.Value
	const order = `{"to":{"area":"north"},"message":"x"}`
	for _, x := range []struct {
		what, method, path, body string
		want                     int
		headers                  []string
	}{
		{"who", "GET", "/auth/login", "", 200, nil},
		{"read", "GET", "/api/v1/areas", "", 200, nil},
		{"ready", "GET", "/readyz", "", 200, nil},
		{"write", "POST", "/api/v1/orders", order, 202, []string{"Sec-Fetch-Site: same-origin", "Origin: http://hub.example"}},
		{"write by an old browser", "POST", "/api/v1/orders", order, 202, []string{"Origin: http://hub.example"}},
		{"write without a word", "POST", "/api/v1/orders", order, 403, nil},
		{"write from a subdomain", "POST", "/api/v1/orders", order, 403, []string{"Sec-Fetch-Site: same-site", "Origin: http://x.hub.example"}},
		{"write from elsewhere", "POST", "/api/v1/orders", order, 403, []string{"Origin: http://evil.example"}},
		{"write from nowhere", "POST", "/api/v1/orders", order, 403, []string{"Origin: null"}},
		{"a link that is typed", "GET", "/api/v1/areas", "", 200, []string{"Sec-Fetch-Site: none"}},
		{"a read from elsewhere", "GET", "/api/v1/areas", "", 403, []string{"Sec-Fetch-Site: cross-site"}},
		{"negotiate", "POST", "/hubs/devices/negotiate?negotiateVersion=1", "", 200, []string{"Origin: http://hub.example"}},
		{"negotiate without a word", "POST", "/hubs/devices/negotiate?negotiateVersion=1", "", 403, nil},
		{"a socket without a word", "GET", "/hubs/devices", "", 403, []string{"Upgrade: websocket", "Connection: Upgrade"}},
		{"sign out from elsewhere", "POST", "/auth/logout", "", 403, []string{"Sec-Fetch-Site: cross-site"}},
		{"sign out", "POST", "/auth/logout", "", 204, []string{"Sec-Fetch-Site: same-origin"}},
		{"afterwards", "GET", "/api/v1/areas", "", 401, nil},
		{"sign out again", "POST", "/auth/logout", "", 204, nil},
	} {
		if w := ask(h, x.method, x.path, x.body, append(x.headers, cookie)...); w.Code != x.want {
			t.Errorf("%s: %d %s, want %d", x.what, w.Code, w.Body, x.want)
		}
	}
	if st := h.signInStats(); st.SignIns != 1 || st.SignInsRefused != 1 || st.SignOuts != 1 || st.Sessions != 0 {
		t.Errorf("counted %+v", st)
	}
}

// TestSignInOfPrograms: name and password give a token too, for REST and hub.
func TestSignInOfPrograms(t *testing.T) {
	h, _ := manned(t)
	raw := token(t, h, "vic")
	for path, want := range map[string]int{
		"GET /api/v1/areas": 200, "POST /api/v1/stop": 403, "GET /api/v1/tokens": 403, "GET /readyz": 200,
		"POST /hubs/devices/negotiate?negotiateVersion=1": 200,
	} {
		method, path, _ := strings.Cut(path, " ")
		if w := ask(h, method, path, "", "Authorization: Bearer "+raw); w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
		}
	}
	if w := ask(h, "POST", "/hubs/devices/negotiate?negotiateVersion=1&access_token="+raw, ""); w.Code != 200 {
		t.Errorf("in the query: %d", w.Code)
	}
	if w := ask(h, "GET", "/api/v1/areas?access_token="+raw, ""); w.Code != 401 {
		t.Errorf("REST takes a token in the query: %d", w.Code)
	}
	if w := ask(h, "POST", "/auth/logout", "", "Authorization: bearer "+raw); w.Code != 204 {
		t.Errorf("sign-out: %d", w.Code)
	}
	if w := ask(h, "GET", "/api/v1/areas", "", "Authorization: Bearer "+raw); w.Code != 401 {
		t.Errorf("afterwards: %d", w.Code)
	}
}

// TestSignInOutlivesARestart: a token holds after a restart, and what is kept of it is
// nothing that another part of the hub takes for its own.
func TestSignInOutlivesARestart(t *testing.T) {
	said, data := &lines{}, t.TempDir()
	with := func(c *conf.Config) { manning(c); c.Data = data }
	log := slog.New(slog.NewTextHandler(said, nil))
	h, _, stop := startedLogging(t, log, with)
	raw := token(t, h, "vic")
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	h, _, _ = startedLogging(t, log, with)
	if w := ask(h, "GET", "/api/v1/areas", "", "Authorization: Bearer "+raw); w.Code != 200 {
		t.Errorf("after a restart: %d %s", w.Code, w.Body)
	}
	if text := said.String(); strings.Contains(text, "cannot be read") {
		t.Errorf("the log says %s", text)
	}
}

// TestSignInRefusals are the ways in which a sign-in can be wrong.
func TestSignInRefusals(t *testing.T) {
	h, _ := manned(t, func(c *conf.Config) {
		c.Auth.Devices = []conf.Principal{{Name: "gate-1", PasswordHash: hashed("gate-1"), Tenant: "default", Area: "north"}}
	})
	for _, x := range []struct {
		body string
		kind string
		want int
	}{
		{`{"name":"ann"}`, "", 401},
		{`{"name":"nobody","password":"ann"}`, "", 401},
		{`{"name":"gate-1","password":"gate-1"}`, "", 403},
		{`{"name":"gate-1","password":"gate-1","token":true}`, "", 200},
		{`{"nam":"ann"}`, "", 400},
		{`{`, "", 400},
		{`{"name":"` + strings.Repeat("a", maxSignIn) + `"}`, "", 413},
		{`name=ann&password=ann`, "application/x-www-form-urlencoded", 200},
		{`name=%zz`, "application/x-www-form-urlencoded", 400},
		{`ann ann`, "text/plain", 415},
	} {
		if w := ask(h, "POST", "/auth/login", x.body, "Content-Type: "+x.kind, "X-From: 10.0.0."+string(rune('1'+len(x.body)%9))); w.Code != x.want {
			t.Errorf("%.40s: %d %s, want %d", x.body, w.Code, w.Body, x.want)
		}
	}
	if w := ask(h, "POST", "/auth/login", `{"name":"ann","password":"ann"}`, "Origin: https://evil.example"); w.Code != 403 {
		t.Errorf("a foreign page signs somebody in: %d", w.Code)
	}
}

// TestWrongPasswordsAreSlowed: the source waits, others do not.
func TestWrongPasswordsAreSlowed(t *testing.T) {
	h, _ := manned(t)
	tries := 0
	for w := ask(h, "POST", "/auth/login", `{"name":"ann","password":"x"}`, "X-From: 10.1.1.1"); w.Code != 429; tries++ {
		if tries > 30 || w.Code != 401 {
			t.Fatalf("try %d: %d %s", tries, w.Code, w.Body)
		}
		w = ask(h, "POST", "/auth/login", `{"name":"ann","password":"x"}`, "X-From: 10.1.1.1")
		if w.Code == 429 && w.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	if w := ask(h, "POST", "/auth/login", `{"name":"ann","password":"ann"}`, "X-From: 10.1.1.2"); w.Code != 200 {
		t.Errorf("a good sign-in from elsewhere: %d %s", w.Code, w.Body)
	}
}

// TestRevocationClosesHubConnections: a token that is taken back, a session that
// is signed out, and a user who is configured away lose their connections.
func TestRevocationClosesHubConnections(t *testing.T) {
	h, r := manned(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dial := func(token string, head http.Header) *signalrtest.Client {
		t.Helper()
		c, err := signalrtest.Dial(ctx, r.HTTP+hubPath, signalrtest.Options{AccessToken: token, Header: head})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	gone := func(what string, c *signalrtest.Client) {
		t.Helper()
		select {
		case <-c.Closed():
		case <-ctx.Done():
			t.Errorf("%s goes on", what)
		}
	}
	made, err := h.auth.CreateToken(ctx, auth.Token{Name: "ci", Roles: []string{"viewer"}, Areas: []string{"*"}})
	if err != nil {
		t.Fatal(err)
	}
	byToken, bySession := dial(made, nil), dial(token(t, h, "ann"), nil)
	adm := token(t, h, "adm")
	byOther := dial(adm, nil)
	cookie := login(t, h, "vic")
	byCookie := dial("", http.Header{"Cookie": {strings.TrimPrefix(cookie, "Cookie: ")}, "Origin": {r.HTTP}})
	if err := h.auth.DeleteToken(ctx, "default", "ci"); err != nil {
		t.Fatal(err)
	}
	gone("a token that was taken back", byToken)
	if w := ask(h, "POST", "/auth/logout", "", cookie, "Sec-Fetch-Site: same-origin"); w.Code != 204 {
		t.Fatalf("sign-out: %d", w.Code)
	}
	gone("a session that was signed out", byCookie)
	if w := ask(h, "POST", "/auth/logout", "", "Authorization: Bearer "+adm); w.Code != 204 {
		t.Fatalf("sign-out: %d", w.Code)
	}
	gone("a program's session that was signed out", byOther)
	if _, err := bySession.Invoke(ctx, "Echo", 1); err != nil {
		t.Errorf("ann was closed with the others: %v", err)
	}
	cfg := h.cfg
	cfg.Auth.Users = cfg.Auth.Users[:0:0]
	for _, u := range h.cfg.Auth.Users {
		if u.Name != "ann" {
			cfg.Auth.Users = append(cfg.Auth.Users, u)
		}
	}
	if err := h.Reload(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	gone("a user who is configured away", bySession)
}

// TestADeviceAtTheHub: a device that speaks SignalR gets a token for its password,
// and is itself, in its own area.
func TestADeviceAtTheHub(t *testing.T) {
	h, r := manned(t, func(c *conf.Config) {
		c.Auth.Devices = []conf.Principal{{Name: "gate-1", PasswordHash: hashed("gate-1"), Tenant: "default", Area: "north"}}
	})
	c, err := signalrtest.Dial(t.Context(), r.HTTP+hubPath, signalrtest.Options{AccessToken: token(t, h, "gate-1")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "gate-2", "north", 2); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Errorf("gate-1 registers as gate-2: %v", err)
	}
	if _, err := c.Invoke(t.Context(), "ReceiveDeviceConnected", "gate-1", "North Wing", 1); err != nil {
		t.Error(err)
	}
	if _, err := c.Invoke(t.Context(), "StopAll"); err == nil {
		t.Error("a device stops all")
	}
}

// TestConnectionsOfOneUser are bounded.
func TestConnectionsOfOneUser(t *testing.T) {
	h, _ := manned(t, func(c *conf.Config) { c.Limits.ConnectionsPerUser = 2 })
	const path = "/hubs/devices/negotiate?negotiateVersion=1"
	ann, vic := "Authorization: Bearer "+token(t, h, "ann"), "Authorization: Bearer "+token(t, h, "vic")
	for i, want := range []int{200, 200, 429} {
		if w := ask(h, "POST", path, "", ann); w.Code != want {
			t.Errorf("connection %d: %d, want %d", i+1, w.Code, want)
		}
	}
	if w := ask(h, "POST", path, "", vic); w.Code != 200 {
		t.Errorf("another user: %d", w.Code)
	}
}

// TestBrowsersAreToldToBeCareful: the headers, in the clear and encrypted.
func TestBrowsersAreToldToBeCareful(t *testing.T) {
	h, r, ca, _ := encrypted(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool}}}
	defer client.CloseIdleConnections()
	for _, path := range []string{"/", "/healthz", "/api/v1/areas", "/auth/login", "/nothing", hubPath} {
		resp, err := client.Get(r.HTTP + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		head := resp.Header
		csp := head.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") ||
			head.Get("X-Content-Type-Options") != "nosniff" || head.Get("Referrer-Policy") != "no-referrer" || head.Get("Strict-Transport-Security") == "" {
			t.Errorf("%s: %v", path, head)
		}
	}
	if w := ask(h, "GET", "/healthz", ""); w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS in the clear")
	}
	if !cookie(&http.Request{TLS: &tls.ConnectionState{}}, "k", time.Now()).Secure {
		t.Error("a cookie that was given over https goes out in the clear")
	}
}

// TestNoSecretIsLogged: everything that may go wrong with passwords and tokens,
// and none of them in the log.
func TestNoSecretIsLogged(t *testing.T) {
	h, _ := manned(t)
	log := &lines{}
	h.audit.log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	raw := token(t, h, "ann")
	ask(h, "POST", "/auth/login", `{"name":"ann","password":"p4ssw0rd"}`)
	ask(h, "GET", "/api/v1/areas", "", "Authorization: Bearer tct_S3CRET")
	ask(h, "POST", "/hubs/devices/negotiate?access_token=q.u.ery", "")
	ask(h, "GET", "/api/v1/areas", "", "Authorization: Bearer tcs_SESSION")
	for _, secret := range []string{"p4ssw0rd", "S3CRET", "q.u.ery", "SESSION", raw} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("%s is in the log:\n%s", secret, log)
		}
	}
	for _, line := range []string{`msg="signed in" conn=192.0.2.1:1234 who=ann`, `msg="sign-in refused" conn=192.0.2.1:1234 who=ann`, `msg="token refused" conn=192.0.2.1:1234`} {
		if !strings.Contains(log.String(), line) {
			t.Errorf("no line %s in\n%s", line, log)
		}
	}
}
