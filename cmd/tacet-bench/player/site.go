package player

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

	"github.com/tacet-hub/tacet/broker/area"
)

// site is a hub and a device in processes of their own.
type site struct {
	dir         string
	hub, device *process
	near        []*process // neighbours of the device
	web, mqtt   string
	client      *http.Client
}

// patience is how long an order may take to its end.
const patience = 30 * time.Second

const hubFile = "areas: [{id: north, name: North Wing, locations: [{id: \"1\", name: Gate 1}]}]\n"

// newSite starts the hub.
func newSite(ctx context.Context, programs, dir string) (*site, error) {
	s := &site{dir: dir, client: &http.Client{Timeout: patience}}
	file := filepath.Join(dir, "tacet.yaml")
	if err := os.WriteFile(file, []byte(hubFile), 0o600); err != nil {
		return nil, err
	}
	var line string
	var err error
	s.hub, line, err = start(ctx, nil, "ready ", filepath.Join(programs, "tacet"), "serve", "--config", file, "--data", filepath.Join(dir, "hub"),
		"--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Fields(line) {
		if v, ok := strings.CutPrefix(word, "http="); ok {
			s.web = v
		}
		if v, ok := strings.CutPrefix(word, "mqtt="); ok {
			s.mqtt = v
		}
	}
	return s, nil
}

// startDevice starts the device gate-1, with keys of device.yaml beside those
// that it needs.
func (s *site) startDevice(ctx context.Context, programs string, environ []string, keys string, args ...string) error {
	file := filepath.Join(s.dir, "device.yaml")
	text := "device: gate-1\nhub: [" + s.mqtt + "]\narea: north\nlocation: \"1\"\n" + keys
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	var err error
	s.device, _, err = start(ctx, environ, "ready ", filepath.Join(programs, "tacet-device"), append([]string{"run", "--sim", "--config", file,
		"--data", filepath.Join(s.dir, "gate-1"), "--log-level", "warn"}, args...)...)
	return err
}

// neighbours are the members of the area beside the device that is measured.
const neighbours = 2

// startNeighbours starts them.
func (s *site) startNeighbours(ctx context.Context, programs string) error {
	for i := range neighbours {
		name := fmt.Sprintf("gate-%d", i+2)
		p, _, err := start(ctx, nil, "ready ", filepath.Join(programs, "tacet-device"), "run", "--sim", "--device", name, "--hub", s.mqtt, "--area", "north",
			"--data", filepath.Join(s.dir, name), "--log-level", "error")
		if err != nil {
			return err
		}
		s.near = append(s.near, p)
	}
	return nil
}

func (s *site) stop() {
	for _, p := range s.near {
		p.stop()
	}
	if s.device != nil {
		s.device.stop()
	}
	s.hub.stop()
}

// ask asks the hub over REST.
func (s *site) ask(ctx context.Context, method, path, kind string, body []byte, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, s.web+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", kind)
	res, err := s.client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, res.Status, b)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// keepClip gives the hub a sound file and answers its name.
func (s *site) keepClip(ctx context.Context, file []byte) (string, error) {
	var clip struct {
		SHA256 string `json:"sha256"`
	}
	err := s.ask(ctx, http.MethodPost, "/clips", "audio/wav", file, &clip)
	return "sha256:" + clip.SHA256, err
}

// order orders a sound, {"clip":…} or {"message":…}, at gate 1.
func (s *site) order(ctx context.Context, what map[string]any) (area.WorkID, error) {
	what["to"] = map[string]string{"location": "1"}
	body, err := json.Marshal(what)
	if err != nil {
		return "", err
	}
	var o struct {
		ID area.WorkID `json:"id"`
	}
	err = s.ask(ctx, http.MethodPost, "/orders", "application/json", body, &o)
	return o.ID, err
}

var errNotPlayed = errors.New("the order was not played")

// played waits for the end of an order, and until its area is free again.
func (s *site) played(ctx context.Context, id area.WorkID) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var o area.Order
	if err := poll(ctx, func() (bool, error) {
		err := s.ask(ctx, http.MethodGet, "/orders/"+url.PathEscape(string(id)), "", nil, &o)
		return o.State.Ended(), err
	}); err != nil {
		return err
	}
	if o.State != area.OrderPlayed {
		return fmt.Errorf("%w: %s", errNotPlayed, o.State)
	}
	return poll(ctx, func() (bool, error) {
		var a area.Area
		err := s.ask(ctx, http.MethodGet, "/areas/north", "", nil, &a)
		var b area.Busy
		if err == nil {
			err = json.Unmarshal(a.Busy, &b)
		}
		return b.State == area.Idle, err
	})
}

// poll asks until it is so.
func poll(ctx context.Context, is func() (bool, error)) error {
	for {
		if yes, err := is(); yes || err != nil {
			return err
		}
		if err := wait(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
