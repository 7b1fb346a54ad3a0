package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// manned is a hub, in a process of its own, that knows its people and devices:
// adm, ann (operator), vic (viewer of the north), gate-1 in the north and gate-3
// in the south, each with a password; and the issuer "id" of tokens.
type manned struct {
	*serve
	secret  string            // the issuer's
	secrets []string          // everything that must not be in the log
	words   map[string]string // passwords, by name
}

func startManned(t *testing.T) *manned {
	t.Helper()
	m := &manned{secret: strings.Repeat("s3cret-", 6), words: map[string]string{}}
	key := filepath.Join(t.TempDir(), "issuer")
	if err := os.WriteFile(key, []byte(m.secret), 0o600); err != nil {
		t.Fatal(err)
	}
	hash := func(name string) string {
		m.words[name] = "the pass word of " + name
		p := run(t, tacet(t), "user", "hash", "--stdin")
		fmt.Fprintln(p.stdin, m.words[name])
		p.stdin.Close()
		line, _ := p.line(0, "a hash", func(s string) bool { return strings.HasPrefix(s, "$argon2id$") })
		return line
	}
	site := strings.Replace(siteFile, "areas:\n", "areas:\n  - {id: south, name: South Wing}\n", 1) + `
auth:
  jwt: [{issuer: id, algorithms: [HS256], hmac_secret_file: ` + key + `, attributes: [hall]}]
  users:
    - {name: adm, password_hash: "` + hash("adm") + `", roles: [admin]}
    - {name: ann, password_hash: "` + hash("ann") + `", roles: [operator]}
    - {name: vic, password_hash: "` + hash("vic") + `", roles: [viewer], areas: [north]}
  devices:
    - {name: gate-1, password_hash: "` + hash("gate-1") + `", area: north}
    - {name: gate-3, password_hash: "` + hash("gate-3") + `", area: south}
`
	m.serve = startSite(t, t.TempDir(), site)
	for _, w := range m.words {
		m.secrets = append(m.secrets, w)
	}
	m.secrets = append(m.secrets, m.secret)
	return m
}

// tool runs the operator's tool, which must succeed, and answers what it prints.
func (m *manned) operate(token string, args ...string) string {
	m.program.t.Helper()
	t := m.program.t
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := m.tacet(append(args, "--url", m.ready.HTTP, "--token-file", file)...)
	if code != 0 {
		t.Fatalf("tacet %s exits %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// login signs somebody in at the command line.
func (m *manned) login(name string) string {
	t := m.program.t
	t.Helper()
	p := run(t, tacet(t), "user", "login", name, "--stdin", "--url", m.ready.HTTP)
	fmt.Fprintln(p.stdin, m.words[name])
	p.stdin.Close()
	token, _ := p.line(0, "a token", func(string) bool { return true })
	m.secrets = append(m.secrets, token)
	return token
}

// issue makes a token of the issuer, with claims over those of a good one.
func (m *manned) issue(over map[string]any) string {
	claims := map[string]any{"iss": "id", "aud": "tacet", "sub": "ivy", "roles": []string{"operator"}, "hall": "A", "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range over {
		claims[k] = v
	}
	body, _ := json.Marshal(claims) // texts and numbers
	enc := base64.RawURLEncoding
	head := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(body)
	mac := hmac.New(sha256.New, []byte(m.secret))
	mac.Write([]byte(head))
	token := head + "." + enc.EncodeToString(mac.Sum(nil))
	m.secrets = append(m.secrets, token)
	return token
}

// logged waits for a line of the hub's log.
func (m *manned) logged(parts ...string) {
	m.program.t.Helper()
	m.errs.await(m.program.t, 0, strings.Join(parts, " … "), func(line string) bool {
		return !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) })
	})
}

func bearer(token string) []string { return []string{"Authorization", "Bearer " + token} }

// TestPeople: people sign in, and may what their roles say, at the command line,
// over REST and at the hub; programs by tokens of an issuer and of the hub's own.
func TestPeople(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	adm, ann, vic := m.login("adm"), m.login("ann"), m.login("vic")

	_, errs, code := m.tacet("area", "list", "--url", m.ready.HTTP)
	if code != 4 || !strings.HasPrefix(errs, "tacet: unauthorized: ") {
		t.Errorf("without a token the tool exits %d and says %q", code, errs)
	}
	if out := m.operate(vic, "area", "list"); !strings.Contains(out, "north") || strings.Contains(out, "south") {
		t.Errorf("vic sees %s", out)
	}
	if out := m.operate(ann, "area", "list"); !strings.Contains(out, "south") {
		t.Errorf("ann sees %s", out)
	}
	const order = `{"to":{"area":"north"},"message":"x"}`
	m.call("POST", "/orders", order).want(t, http.StatusUnauthorized, nil)
	m.call("POST", "/orders", order, bearer(vic)...).want(t, http.StatusForbidden, nil)
	m.call("POST", "/orders", order, bearer(ann)...).want(t, http.StatusAccepted, nil)
	m.call("GET", "/tokens", nil, bearer(ann)...).want(t, http.StatusForbidden, nil)
	m.call("GET", "/areas/south", nil, bearer(vic)...).want(t, http.StatusForbidden, nil)
	m.call("GET", "/areas/north", nil, bearer(m.issue(map[string]any{"tenant_id": "acme"}))...).want(t, http.StatusNotFound, nil)

	// An issuer's token, in the header and in the query.
	ivy := m.issue(nil)
	n := &npm{program: script(t, "client.mjs", m.hubURL(), ivy)}
	heard(n.program, 0, "connection", func(l line) bool { return l.State == "connected" })
	if raw := string(n.invoke("GetPresence", "attr:hall=A")); !strings.Contains(raw, `"user":"ivy"`) {
		t.Errorf("there are %s", raw)
	}
	n.invoke("Announce", map[string]any{"to": map[string]string{"area": "north"}, "message": "x"})
	q := m.npm(m.hubURL() + "?access_token=" + m.issue(map[string]any{"sub": "quinn", "roles": "viewer"}))
	if why := q.refused("StopAll"); !strings.Contains(why, "forbidden") {
		t.Errorf("a viewer stops all: %s", why)
	}
	if why := q.refused("ReceiveDeviceConnected", "gate-1", "north", 1); !strings.Contains(why, "forbidden") {
		t.Errorf("a viewer is a device: %s", why)
	}
	m.call("POST", m.hubURL()+"/negotiate?negotiateVersion=1", nil, bearer(ivy+"x")...).want(t, http.StatusUnauthorized, nil)
	m.call("POST", m.hubURL()+"/negotiate?negotiateVersion=1", nil).want(t, http.StatusUnauthorized, nil)

	// A token of the hub's own, until it is taken back.
	token := m.operate(adm, "token", "create", "ci", "--role", "viewer")
	m.secrets = append(m.secrets, token)
	if out := m.operate(adm, "token", "list"); !strings.Contains(out, "ci") || strings.Contains(out, token) {
		t.Errorf("the list is %s", out)
	}
	c := &npm{program: script(t, "client.mjs", m.hubURL(), token)}
	heard(c.program, 0, "connection", func(l line) bool { return l.State == "connected" })
	m.operate(adm, "token", "delete", "ci")
	heard(c.program, 0, "the end of its connection", func(l line) bool { return l.State == "closed" })
	m.call("GET", "/areas", nil, bearer(token)...).want(t, http.StatusUnauthorized, nil)
	m.logged("token made", "rule=ci", "who=adm")
	m.logged("token taken back", "rule=ci", "who=adm")
	m.logged("signed in", "who=ann")
	m.silent()
}

// TestATokenEndsItsConnection: a hub connection does not outlive its token, but
// for a client that shows a newer one.
func TestATokenEndsItsConnection(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	short := map[string]any{"exp": time.Now().Add(20 * time.Second).Unix()}
	n := &npm{program: script(t, "client.mjs", m.hubURL(), m.issue(short))}
	heard(n.program, 0, "connection", func(l line) bool { return l.State == "connected" })
	heard(n.program, 0, "the end of its connection", func(l line) bool { return l.State == "reconnecting" || l.State == "closed" })
	m.silent()
}

// TestDevicesByPassword: a device is itself alone, over MQTT; people may what
// their roles say.
func TestDevicesByPassword(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	as := func(name string, more ...string) []string {
		return append([]string{"-u", name, "-P", m.words[name]}, more...)
	}
	watch := m.subscribe(as("ann", "-v", "-t", "#")...)
	m.publish("tacet/device/gate-1/event/door", "open", as("gate-1", "-i", "gate-1")...)
	watch.message(0, "tacet/device/gate-1/event/door", exactly("open"))

	for what, args := range map[string][]string{
		"nobody":                      {},
		"a wrong password":            {"-u", "gate-1", "-P", "x"},
		"another's client id":         as("gate-1", "-i", "gate-3"),
		"another's, with a colon":     as("gate-1", "-i", "gate-3:x"),
		"another's topic":             as("gate-1", "-i", "gate-1:a", "-V", "5", "-t", "tacet/device/gate-3/event/door"),
		"another's claim":             as("gate-1", "-i", "gate-1:b", "-V", "5", "-t", "tacet/area/north/claim/gate-3"),
		"an order by a device":        as("gate-1", "-i", "gate-1:c", "-V", "5", "-t", "tacet/area/north/submit"),
		"what the hub alone writes":   as("ann", "-V", "5", "-t", "tacet/area/north/busy"),
		"a will where it may not":     as("gate-1", "-i", "gate-1:d", "-V", "5", "--will-topic", "tacet/device/gate-3/status", "--will-payload", "0"),
		"another's topic by a viewer": as("vic", "-V", "5", "-t", "tacet/device/gate-1/cmd/identify"),
	} {
		if !slices.Contains(args, "-t") {
			args = append(args, "-t", "tacet/device/gate-1/event/door")
		}
		out, err := m.pub(append(args, "-m", "bad")...)
		if err == nil && !strings.Contains(out, "Not authorized") {
			t.Errorf("%s is let in: %s", what, out)
		}
	}
	deaf := func(what string, args ...string) {
		t.Helper()
		sub := run(t, tool(t, "mosquitto_sub", mosquittoClients), append([]string{"-h", "127.0.0.1", "-p", port(t, m.ready.MQTT), "-d", "-v"}, args...)...)
		line, _ := sub.line(0, "the answer to "+what, func(s string) bool { return strings.HasPrefix(s, "Subscribed ") || strings.Contains(s, "refused") })
		if strings.HasPrefix(line, "Subscribed ") && !strings.Contains(line, "128") && !strings.Contains(line, "135") {
			t.Errorf("%s may be read: %s", what, line)
		}
	}
	deaf("everything", as("gate-1", "-i", "gate-1:w", "-t", "#")...)
	deaf("another area", as("gate-1", "-i", "gate-1:s", "-t", "tacet/area/south/busy")...)
	deaf("a share of everything", as("gate-1", "-i", "gate-1:h", "-t", "$share/g/#")...)
	deaf("everything, by who sees the north", as("vic", "-t", "tacet/area/+/busy")...)

	m.publish("tacet/device/gate-1/event/door", "shut", as("gate-1", "-i", "gate-1")...)
	_, end := watch.message(0, "tacet/device/gate-1/event/door", exactly("shut"))
	for _, line := range watch.out.since(0)[:end] {
		if strings.HasSuffix(line, " bad") {
			t.Errorf("what was refused came through: %s", line)
		}
	}
	m.silent()
}

// TestEnrolment: a code at the command line, traded once for a device's own
// credential, which is good until it is revoked; then the device is cut off.
func TestEnrolment(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	ann := m.login("ann")
	code := m.operate(ann, "device", "enrol", "gate-12", "--area", "north")
	var got struct{ Device, Secret, Area, MQTT string }
	m.call("POST", "/enrolments/"+code, nil).want(t, http.StatusOK, &got)
	m.secrets = append(m.secrets, code, got.Secret)
	same(t, "device", got.Device+" in "+got.Area+" at "+got.MQTT, "gate-12 in north at "+m.ready.MQTT)
	m.call("POST", "/enrolments/"+code, nil).want(t, http.StatusNotFound, nil)

	sub := m.subscribe("-u", "gate-12", "-P", got.Secret, "-i", "gate-12", "-V", "5", "-v", "-t", "tacet/area/north/busy")
	sub.message(0, "tacet/area/north/busy", anything)
	if out, err := m.pub("-u", "gate-12", "-P", got.Secret, "-i", "gate-1", "-t", "tacet/device/gate-1/status", "-m", "1"); err == nil {
		t.Errorf("one device is another: %s", out)
	}
	m.operate(ann, "device", "revoke", "gate-12")
	sub.wait() // it is cut off, and cannot come back
	if out, err := m.pub("-u", "gate-12", "-P", got.Secret, "-i", "gate-12", "-t", "tacet/device/gate-12/status", "-m", "1"); err == nil {
		t.Errorf("a revoked device comes back: %s", out)
	}
	for _, line := range []string{"enrolment made", "enrolment redeemed", "credential revoked"} {
		m.logged(line, "device=gate-12")
	}
	m.silent()
}

// TestAProvisionedDevice: the built device trades its code, comes in with what it
// got, plays, and is gone when its credential is revoked.
func TestAProvisionedDevice(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	ann, dir := m.login("ann"), t.TempDir()
	code := m.operate(ann, "device", "enrol", "gate-12", "--area", "north")
	p := run(t, tacetDevice(t), "provision", "--hub", m.ready.HTTP, "--code", code, "--data", dir)
	if got := p.wait(); got != 0 {
		t.Fatalf("provision exits %d: %s", got, brief(p.errs.since(0)))
	}
	secret, err := os.ReadFile(filepath.Join(dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	m.secrets = append(m.secrets, code, strings.TrimSpace(string(secret)))
	file := filepath.Join(dir, "device.yaml")
	if err := os.WriteFile(file, []byte(strings.Join(p.out.since(0), "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	n := m.npm(m.hubURL() + "?access_token=" + ann)
	n.invoke("JoinArea", "north")
	gate := run(t, tacetDevice(t), "run", "--sim", "--config", file, "--data", filepath.Join(dir, "data"))
	gate.line(0, "ready", func(s string) bool { return strings.HasPrefix(s, "ready device=gate-12") })
	if out := m.operate(ann, "say", "--area", "north", "--wait", "hello"); !strings.Contains(out, " played ") {
		t.Errorf("said %s", out)
	}
	m.operate(ann, "device", "revoke", "gate-12")
	n.event(0, "DeviceChanged", about(func(d area.Delta) bool {
		return d.Device != nil && *d.Device == "gate-12" && string(d.Set["presence"]) == `"offline"`
	}))
	m.silent()
}

// TestReloadedPeople: SIGHUP takes a user away, and a new one in; what would let
// everybody in changes nothing.
func TestReloadedPeople(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	ann, adm := m.login("ann"), m.login("adm")
	n := m.npm(m.hubURL() + "?access_token=" + ann)
	stays := m.npm(m.hubURL() + "?access_token=" + adm)
	sub := m.subscribe("-u", "gate-1", "-P", m.words["gate-1"], "-i", "gate-1:sub", "-v", "-t", "tacet/area/north/busy")
	raw, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	site := string(raw)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(m.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m.signal(syscall.SIGHUP)
	}
	mark := m.errs.mark()
	write(siteFile)
	m.errs.await(t, mark, "the refusal", func(line string) bool { return strings.Contains(line, "nobody in it") })
	m.call("GET", "/areas", nil).want(t, http.StatusUnauthorized, nil)

	write(strings.Replace(site, "{name: ann,", "{name: anna,", 1))
	heard(n.program, 0, "the end of ann's connection", func(l line) bool { return l.State == "closed" })
	m.call("GET", "/areas", nil, bearer(ann)...).want(t, http.StatusUnauthorized, nil)
	m.words["anna"] = m.words["ann"]
	m.call("GET", "/areas", nil, bearer(m.login("anna"))...).want(t, http.StatusOK, nil)
	stays.invoke("Echo", "still here")
	m.publish("tacet/device/gate-1/event/door", "open", "-u", "gate-1", "-P", m.words["gate-1"], "-i", "gate-1")
	if line := strings.Join(sub.out.since(0), "\n"); strings.Contains(line, "disconnect") {
		t.Errorf("gate-1, of which nothing has changed, was cut off: %s", line)
	}
	m.silent()
}

// TestSignInAtTheDashboard: with Chromium.
func TestSignInAtTheDashboard(t *testing.T) {
	t.Parallel()
	m := startManned(t)
	p := m.browse("signin.mjs", "ann", m.words["ann"])
	if s := p.step("asked"); s.Checked == 0 || len(s.Violations) > 0 {
		t.Errorf("axe-core checked %d rules and found %s", s.Checked, brief(s.Violations))
	}
	for width, want := range map[float64]float64{1440: 340, 390: 340} {
		if b := p.step(fmt.Sprintf("asked at %v px", width)).Box; b.Width != want || b.Height < 150 || b.Height > 400 || !b.middle(width, 900) {
			t.Errorf("at %v px the form is not in the middle, %v px wide: %+v", width, want, b)
		}
	}
	same(t, "what a wrong password is told", p.step("wrong").Text, "Name or password is wrong.")
	in := p.step("in")
	same(t, "who", in.Text, "ann")
	same(t, "the cookie", in.Cookie+"; scripts see "+in.Seen, "true Strict; scripts see ")
	p.step("announced")
	if c := p.step("out").Complaints; len(c) > 0 {
		t.Errorf("the browser complained: %s", brief(c))
	}
	same(t, "exit code", p.wait(), 0)
	m.logged("sign-in refused", "who=ann")
	m.logged("signed out", "who=ann")
	m.silent()
}
