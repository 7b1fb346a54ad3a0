//go:build linux

package rungs

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Hub is a real tacet serve with an operator and devices that have to sign in,
// which is killed and started again on the same ports.
type Hub struct {
	program  string
	dir      string
	web      string // host:port, once known
	mqtt     string
	password string // of the operator
	token    string // of his session, which ends with the process
	m        *Machine
}

// Leases of the hub's area: a short one, so that what is cut off is over soon, and
// the one that areas have by default, for a guest that may stand still for seconds
// when the host is busy.
const (
	shortLease = 2 * time.Second
	usualLease = 6 * time.Second
)

// hubSite is an area of two gates. Each guest has a network of its own, and all of
// these have one name: they would take each other for neighbours.
const hubSite = `
areas:
  - {id: north, name: North Wing, lease: %v, topology: direct, locations: [{id: "1", name: Gate 1}, {id: "2", name: Gate 2}]}
http: {admin_addr: "127.0.0.1:0"}
auth:
  users: [{name: operator, password_hash: %q, roles: [admin], areas: ["*"]}]
`

// StartHub starts the program tacet with an empty directory of its own, dir, and
// this lease, and waits until it is ready.
func StartHub(ctx context.Context, program, dir string, lease time.Duration) (*Hub, error) {
	h := &Hub{program: program, dir: dir, web: "127.0.0.1:0", mqtt: "127.0.0.1:0", password: rand.Text()}
	hash := exec.CommandContext(ctx, program, "user", "hash", "--stdin")
	hash.Stdin = strings.NewReader(h.password + "\n")
	out, err := hash.Output()
	if err != nil {
		return nil, fmt.Errorf("tacet user hash: %w", err)
	}
	site := fmt.Sprintf(hubSite, lease, strings.TrimSpace(string(out)))
	if err := os.WriteFile(filepath.Join(dir, "tacet.yaml"), []byte(site), 0o600); err != nil {
		return nil, err
	}
	return h, h.Start(ctx)
}

// Start starts it again after Kill.
func (h *Hub) Start(ctx context.Context) error {
	m, err := Start(context.WithoutCancel(ctx), "tacet serve", h.program, "serve", "--config", filepath.Join(h.dir, "tacet.yaml"),
		"--data", filepath.Join(h.dir, "data"), "--http", h.web, "--mqtt", h.mqtt)
	if err != nil {
		return err
	}
	h.m = m
	line, err := m.Await(ctx, "ready http=")
	if err != nil {
		m.Kill()
		return err
	}
	for _, f := range strings.Fields(line) {
		key, value, _ := strings.Cut(f, "=")
		u, err := url.Parse(value)
		switch {
		case key == "http" && err == nil:
			h.web = u.Host
		case key == "mqtt" && err == nil:
			h.mqtt = u.Host
		}
	}
	return h.signIn(ctx)
}

func (h *Hub) signIn(ctx context.Context) error {
	var in struct {
		Token string `json:"token"`
	}
	body := fmt.Sprintf(`{"name": "operator", "password": %q, "token": true}`, h.password)
	if err := h.call(ctx, http.MethodPost, "/auth/login", "application/json", strings.NewReader(body), &in); err != nil {
		return err
	}
	h.token = in.Token
	return nil
}

// Kill kills it, as a power cut does.
func (h *Hub) Kill() { h.m.Kill() }

// Guest is the address of the MQTT listener as a guest sees it.
func (h *Hub) Guest() string { return "mqtt://10.0.2.2" + h.mqtt[strings.LastIndexByte(h.mqtt, ':'):] }

// Web is the address of the web listener as a guest sees it.
func (h *Hub) Web() string { return "http://10.0.2.2" + h.web[strings.LastIndexByte(h.web, ':'):] }

// Code is a code that a device trades for its credential, once.
func (h *Hub) Code(ctx context.Context, device string) (string, error) {
	var e struct {
		Code string `json:"code"`
	}
	body := fmt.Sprintf(`{"device": %q, "area": "north"}`, device)
	return e.Code, h.call(ctx, http.MethodPost, "enrolments", "application/json", strings.NewReader(body), &e)
}

// Secret enrols a device and answers its password.
func (h *Hub) Secret(ctx context.Context, device string) (string, error) {
	code, err := h.Code(ctx, device)
	if err != nil {
		return "", err
	}
	var c struct {
		Secret string `json:"secret"`
	}
	err = h.call(ctx, http.MethodPost, "enrolments/"+code, "", nil, &c)
	if err == nil && c.Secret == "" {
		err = errors.New("the hub told no secret")
	}
	return c.Secret, err
}

// Spent fails where a code is still good for something.
func (h *Hub) Spent(ctx context.Context, code string) error {
	var c json.RawMessage
	if err := h.call(ctx, http.MethodPost, "enrolments/"+code, "", nil, &c); err == nil {
		return errors.New("the code could be traded again")
	}
	return nil
}

// Clip uploads a sound file and answers the word by which an order names it.
func (h *Hub) Clip(ctx context.Context, file []byte) (string, error) {
	var c struct {
		SHA256 string `json:"sha256"`
	}
	if err := h.call(ctx, http.MethodPost, "clips", "audio/wav", bytes.NewReader(file), &c); err != nil {
		return "", err
	}
	return "sha256:" + c.SHA256, nil
}

// Said is the end of its log.
func (h *Hub) Said() string { return h.m.Said() }

// Order is what REST says about one.
type Order struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Reason string `json:"reason"`
	Device string `json:"device"`
}

// Announce orders something; body is JSON.
func (h *Hub) Announce(ctx context.Context, body string) (o Order, err error) {
	return o, h.call(ctx, http.MethodPost, "orders", "application/json", strings.NewReader(body), &o)
}

// Cancel takes an order back.
func (h *Hub) Cancel(ctx context.Context, id string) error {
	return h.call(ctx, http.MethodDelete, "orders/"+id, "", nil, nil)
}

// Ended waits until an order is over.
func (h *Hub) Ended(ctx context.Context, id string) (o Order, err error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := h.call(ctx, http.MethodGet, "orders/"+id, "", nil, &o); err != nil {
			return o, err
		}
		switch o.State {
		case "played", "expired", "cancelled", "failed":
			return o, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return o, fmt.Errorf("order %s is still %s: %w", id, o.State, ctx.Err())
		}
	}
}

// Played waits until an order is over, and fails where it did not sound.
func (h *Hub) Played(ctx context.Context, id string) (Order, error) {
	o, err := h.Ended(ctx, id)
	if err == nil && o.State != "played" {
		err = fmt.Errorf("the order ended %s: %s", o.State, o.Reason)
	}
	return o, err
}

// Device waits until the hub knows a device and its document, decoded, is as
// wanted.
func (h *Hub) Device(ctx context.Context, id string, wanted func(map[string]any) bool) (map[string]any, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var d map[string]any
		err := h.call(ctx, http.MethodGet, "devices/"+id, "", nil, &d)
		if err == nil && wanted(d) {
			return d, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return d, fmt.Errorf("device %s is not as wanted: %w: %v, %v", id, ctx.Err(), d, err)
		}
	}
}

// Online waits until the hub sees a device.
func (h *Hub) Online(ctx context.Context, id string) error {
	_, err := h.Device(ctx, id, func(d map[string]any) bool { return d["presence"] == "online" })
	return err
}

func (h *Hub) call(ctx context.Context, method, path, kind string, body io.Reader, into any) error {
	if !strings.HasPrefix(path, "/") {
		path = "/api/v1/" + path
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+h.web+path, body)
	if err != nil {
		return err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if h.token != "" {
		r.Header.Set("Authorization", "Bearer "+h.token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(io.LimitReader(answer.Body, 1<<20)); err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return errors.New(method + " " + path + ": " + answer.Status + ": " + tail(raw.String(), 400))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(raw.Bytes(), into)
}
