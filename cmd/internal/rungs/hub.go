//go:build linux

package rungs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Hub is a real tacet serve, which is killed and started again on the same
// ports.
type Hub struct {
	program string
	dir     string
	web     string // host:port, once known
	mqtt    string
	m       *Machine
}

// hubSite is an area of two gates with the shortest lease that is handy.
const hubSite = `
areas:
  - {id: north, name: North Wing, lease: 2s, locations: [{id: "1", name: Gate 1}, {id: "2", name: Gate 2}]}
http: {admin_addr: "127.0.0.1:0"}
`

// StartHub starts the program tacet with an empty directory of its own, dir, and
// waits until it is ready.
func StartHub(ctx context.Context, program, dir string) (*Hub, error) {
	h := &Hub{program: program, dir: dir, web: "127.0.0.1:0", mqtt: "127.0.0.1:0"}
	if err := os.WriteFile(filepath.Join(dir, "tacet.yaml"), []byte(hubSite), 0o600); err != nil {
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
	return nil
}

// Kill kills it, as a power cut does.
func (h *Hub) Kill() { h.m.Kill() }

// Guest is the address of the MQTT listener as a guest sees it.
func (h *Hub) Guest() string { return "mqtt://10.0.2.2" + h.mqtt[strings.LastIndexByte(h.mqtt, ':'):] }

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
	_, err := h.Device(ctx, id, func(d map[string]any) bool { return d["online"] == true })
	return err
}

func (h *Hub) call(ctx context.Context, method, path, kind string, body io.Reader, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, "http://"+h.web+"/api/v1/"+path, body)
	if err != nil {
		return err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
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
	return json.Unmarshal(raw.Bytes(), into)
}
