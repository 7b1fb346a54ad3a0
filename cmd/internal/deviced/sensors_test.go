package deviced

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/sensor"
	"github.com/tacet-hub/tacet/drivers/sim"
)

// What the sensors of a device measure is heard at the hub; one that is not there
// is a reading of no value and one line of the log.
func TestSensorsOfADevice(t *testing.T) {
	url, b := hub(t)
	heard := make(chan string, 100)
	for _, filter := range []string{"tacet/device/gate-1/tele/#", "tacet/device/gate-1/status"} {
		cancel, err := b.Subscribe(filter, func(m area.Message) {
			line := strings.TrimPrefix(m.Topic, "tacet/device/gate-1/")
			if line != "status" {
				line += " " + string(m.Payload)
			}
			heard <- line
		})
		if err != nil {
			t.Fatal(err)
		}
		defer cancel()
	}
	sys := t.TempDir()
	zone := filepath.Join(sys, "class", "thermal", "thermal_zone0")
	if err := os.MkdirAll(zone, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"type": "cpu-thermal\n", "temp": "48312\n"} {
		if err := os.WriteFile(filepath.Join(zone, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	agent := agentOf(t, url, &board{Beacon: &sim.Board{}})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx) }()
	until := func(want ...string) {
		t.Helper()
		for len(want) > 0 {
			select {
			case line := <-heard:
				want = slices.DeleteFunc(want, func(w string) bool { return w == line })
			case <-time.After(time.Minute):
				t.Fatalf("not heard: %q", want)
			}
		}
	}
	until("status") // connected: what is measured before is old news
	var log bytes.Buffer
	s := &senses{agent: agent, log: slog.New(slog.NewTextHandler(&log, nil))}
	if err := s.take([]sensor.Config{{Driver: "cpu"}, {Driver: "ds18b20", Name: "cellar"}}, sensor.Parts{Sys: sys}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	own, stop := context.WithCancel(ctx)
	go func() { done <- s.beside(own, func(ctx context.Context) error { <-ctx.Done(); return nil }) }()
	until("tele/cpu/temperature 48.3", "tele/cellar/temperature unmeasured")
	stop()
	cancel()
	for _, c := range []chan error{done, ended} {
		if err := <-c; err != nil {
			t.Error(err)
		}
	}
	if n := strings.Count(log.String(), `who="ds18b20 cellar" err="there is none`); n != 1 {
		t.Errorf("%d lines of the log: %s", n, log.String())
	}
}
