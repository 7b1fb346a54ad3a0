package nets

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
)

// site is a hub and loudspeakers of one area, each on a host of its own.
type site struct {
	t     *testing.T
	lan   *lan
	hub   *hub
	gates []*gate

	clips   map[time.Duration]string // names of tones that the hub has
	orders  []area.WorkID            // that the hub has accepted
	lengths map[area.WorkID]time.Duration
}

// lease is the shortest that an area takes well: what is cut off is over soon.
const lease = 2 * time.Second

// alone is what key peers of device.yaml is where a device knows nobody but its hub.
const alone = "{mode: \"off\"}"

// newSite starts a hub and so many loudspeakers, gate-1 at location 1 and so on,
// and waits until the area may sound. keys are more keys of the area. The devices
// can do nothing without the hub.
func newSite(t *testing.T, gates int, keys string) *site {
	t.Helper()
	return newSiteOf(t, gates, keys, alone)
}

func newSiteOf(t *testing.T, gates int, keys, together string) *site {
	t.Helper()
	s := planSite(t, gates, keys, together)
	s.begin()
	return s
}

// planSite is a site in which nothing runs yet.
func planSite(t *testing.T, gates int, keys, together string) *site {
	t.Helper()
	s := &site{t: t, lan: newLAN(t), clips: map[time.Duration]string{}, lengths: map[area.WorkID]time.Duration{}}
	s.hub = s.newHub(gates, keys)
	for i := range gates {
		s.gates = append(s.gates, s.newGate(i+1, together))
	}
	return s
}

// begin starts everybody, and waits until the area may sound.
func (s *site) begin() {
	s.t.Helper()
	s.hub.start()
	for _, g := range s.gates {
		g.start()
	}
	for _, g := range s.gates {
		g.p.ready()
	}
	s.free()
}

// hub is tacet serve on a host.
type hub struct {
	*host
	p    *process
	file string
	data string
	web  *http.Client
	tls  *tls.Config // nil: it speaks in the clear
}

// ports of a hub; each host has all for itself.
const (
	mqttPort = 1883
	webPort  = 8080
)

func (s *site) newHub(gates int, keys string) *hub {
	s.t.Helper()
	dir := s.t.TempDir()
	h := &hub{host: s.lan.host("hub"), file: filepath.Join(dir, "tacet.yaml"), data: filepath.Join(dir, "data")}
	issuer := filepath.Join(dir, "issuer")
	text := fmt.Sprintf("areas: [{id: north, lease: %s%s}]\nauth:\n  jwt: [{issuer: id, algorithms: [HS256], hmac_secret_file: %s}]\n  devices:\n", lease, keys, issuer)
	for n := range gates {
		text += fmt.Sprintf("    - {name: %s, password_hash: %q, area: north}\n", gateID(n+1), hash(s.t))
	}
	for name, content := range map[string]string{h.file: text, issuer: secret} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	h.web = &http.Client{Transport: &http.Transport{DialContext: h.dial}}
	s.t.Cleanup(h.web.CloseIdleConnections)
	return h
}

// start starts the hub and waits until it serves.
func (h *hub) start() {
	h.t.Helper()
	h.p = h.run(tacet(h.t), "serve", "--config", h.file, "--data", h.data,
		"--http", fmt.Sprintf("%s:%d", h.addr, webPort), "--mqtt", fmt.Sprintf("%s:%d", h.addr, mqttPort))
	h.p.ready()
}

// errAnswer is an answer that says no.
var errAnswer = errors.New("refused")

// ask asks REST from the hub's own host, so that it is heard whatever is cut.
func (h *hub) ask(method, path, kind string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(h.t.Context(), patience/3)
	defer cancel()
	scheme := "http"
	if h.tls != nil {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("%s://%s:%d/api/v1%s", scheme, h.addr, webPort, path), bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "Bearer "+operator(h.t))
	res, err := h.web.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%w: %s %s: %s: %s", errAnswer, method, path, res.Status, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// clip is the name of a tone of a length, which the hub keeps.
func (s *site) clip(long time.Duration) string {
	s.t.Helper()
	if s.clips[long] == "" {
		var made struct {
			SHA256 string `json:"sha256"`
		}
		sound := media.EncodeWAV(media.Tone(440, long))
		until(s.t, fmt.Sprintf("a clip of %v is kept", long), func() (bool, string) {
			err := s.hub.ask(http.MethodPost, "/clips", "audio/wav", sound, &made)
			return err == nil, fmt.Sprint(err)
		})
		s.clips[long] = "sha256:" + made.SHA256
	}
	return s.clips[long]
}

// The targets of orders.
func anybody() map[string]string         { return map[string]string{"area": "north"} }
func (g *gate) alone() map[string]string { return map[string]string{"device": string(g.id)} }
func (g *gate) at() map[string]string    { return map[string]string{"location": g.location} }

// order orders a tone of a length, and answers the order's id. It sends it until
// the hub has accepted it.
func (s *site) order(to map[string]string, long time.Duration) area.WorkID {
	s.t.Helper()
	return s.urgent(to, long, "normal")
}

// urgent is order with a priority.
func (s *site) urgent(to map[string]string, long time.Duration, priority string) area.WorkID {
	s.t.Helper()
	id := area.WorkID(fmt.Sprintf("o-%d", len(s.lengths)+1))
	body, err := json.Marshal(map[string]any{"id": id, "to": to, "kind": "play", "clip": s.clip(long), "expires": "10m", "priority": priority})
	if err != nil {
		s.t.Fatal(err)
	}
	until(s.t, fmt.Sprintf("order %s is accepted", id), func() (bool, string) {
		err := s.hub.ask(http.MethodPost, "/orders", "application/json", body, nil)
		return err == nil, fmt.Sprint(err)
	})
	s.orders, s.lengths[id] = append(s.orders, id), long
	return id
}

// standing waits until an order stands so.
func (s *site) standing(id area.WorkID, what string, fits func(area.Order) bool) (o area.Order) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("order %s is %s", id, what), func() (bool, string) {
		o = area.Order{}
		err := s.hub.ask(http.MethodGet, "/orders/"+string(id), "", nil, &o)
		return err == nil && fits(o), story(o, err)
	})
	return o
}

// ended waits for the end of an order.
func (s *site) ended(id area.WorkID) area.Order {
	s.t.Helper()
	return s.standing(id, "ended", func(o area.Order) bool { return o.State.Ended() })
}

// story is an order's history, for failures.
func story(o area.Order, err error) string {
	if err != nil {
		return err.Error()
	}
	b, _ := json.Marshal(o.History) // texts and times
	return fmt.Sprintf("%s %s: %s", o.ID, o.State, b)
}

// busy waits until the area says that it stands so.
func (s *site) busy(what string, fits func(area.Busy) bool) (b area.Busy) {
	s.t.Helper()
	until(s.t, "the area is "+what, func() (bool, string) {
		var a area.Area
		err := s.hub.ask(http.MethodGet, "/areas/north", "", nil, &a)
		if err == nil {
			b, err = area.ParseBusy(a.Busy)
		}
		return err == nil && fits(b), fmt.Sprintf("%+v, %v", b, err)
	})
	return b
}

// free waits until nobody holds the area and it does not settle.
func (s *site) free() {
	s.t.Helper()
	s.busy("free", func(b area.Busy) bool { return b.State == area.Idle })
}

// lasts is as long as a fault lasts beyond what a test waits for: no time, but in
// the long run so long that every connection is given up.
func (s *site) lasts() {
	s.t.Helper()
	if !*long {
		return
	}
	over := time.NewTimer(45 * time.Second)
	defer over.Stop()
	select {
	case <-over.C:
	case <-s.t.Context().Done():
	}
}
