package deviced

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/speech"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Finding is what [Check] found out about one part.
type Finding struct {
	Part string // data, clock, audio, speech, peers, leader, updates, gpio, sensor, hub
	OK   bool
	Text string // what was found, or what is wrong
}

const checkTime = 5 * time.Second // for each hub and for speech

// Check tries each part of a device, without being it: nothing sounds, no start
// is counted, and a running device is not disturbed; version is that of the program.
// It blocks for at most 5 s per hub and 10 s more. The configuration must be valid.
func Check(ctx context.Context, cfg Config, version string) []Finding {
	parts := []struct {
		name string
		try  func(context.Context, Config) (string, error)
	}{{"data", checkData}, {"clock", checkClock}, {"audio", checkAudio}, {"speech", checkSpeech}}
	var found []Finding
	add := func(part, text string, err error) {
		if err != nil {
			text = err.Error()
		}
		found = append(found, Finding{Part: part, OK: err == nil, Text: text})
	}
	for _, p := range parts {
		text, err := p.try(ctx, cfg)
		add(p.name, text, err)
	}
	found = append(found, checkCare(cfg)...)
	found = append(found, checkPeers(cfg))
	found = append(found, checkLeader(ctx, cfg, version)...)
	found = append(found, checkUpdates(cfg)...)
	found = append(found, checkCards(cfg)...)
	found = append(found, checkGPIO(cfg)...)
	found = append(found, checkSensors(ctx, cfg)...)
	if cfg.Enrols() { // where MQTT is, is not known yet
		text, err := checkWeb(ctx, cfg)
		add("hub", text, err)
		return found
	}
	for _, h := range cfg.Hub {
		text, err := checkHub(ctx, cfg, h)
		add("hub", text, err)
	}
	return found
}

// checkData writes a file where the memory is, or would be made.
func checkData(_ context.Context, cfg Config) (string, error) {
	dir := cfg.dataDir()
	at := dir
	for { // the nearest directory that is there
		if _, err := os.Stat(at); err == nil || filepath.Dir(at) == at {
			break
		}
		at = filepath.Dir(at)
	}
	f, err := os.CreateTemp(at, ".tacet-check")
	if err != nil {
		return "", err
	}
	err = errors.Join(f.Sync(), f.Close(), os.Remove(f.Name()))
	return dir, err
}

// checkClock looks whether the clock of the leases runs, and what is known of the
// wall clock.
func checkClock(_ context.Context, cfg Config) (string, error) {
	began, wall := firmware.Boottime{}.Now(), cfg.calendar(firmware.KeptTime(cfg.dataDir()))
	time.Sleep(10 * time.Millisecond)
	if d := (firmware.Boottime{}).Now() - began; d < 5*time.Millisecond {
		return "", fmt.Errorf("the monotonic clock went on by %v in 10 ms", d)
	}
	if wall.State() == area.ClockUnknown {
		return "", fmt.Errorf("the wall clock says %s, and it is %s at least: it was not set", time.Now().UTC().Format(time.RFC3339), wall.Now().UTC().Format(time.RFC3339))
	}
	return wall.Now().UTC().Format(time.RFC3339) + ", " + wall.State(), nil
}

func checkSpeech(ctx context.Context, _ Config) (string, error) {
	s, err := speech.New(speech.Config{Timeout: checkTime})
	if err != nil {
		return "", err
	}
	sound, err := s.Say(ctx, "one two three", "")
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("%s, %v", s.Engine(), sound.Duration().Round(time.Millisecond))
	if s.Engine() == speech.Tone {
		text += " (a tone per word: espeak-ng is not installed)"
	}
	return text, nil
}

// checkHub connects under a client id beside the device's own. A hub that refuses
// is asked once: one that is asked in vain more often makes the device wait too.
func checkHub(ctx context.Context, cfg Config, hub string) (string, error) {
	cfg.Hub = []string{hub}
	u, err := cfg.uplink(cfg.Device + ":check")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	last := lastError{refused: cancel}
	c, err := uplink.New(u, slog.New(&last))
	if err != nil {
		return "", err
	}
	up := false
	c.Watch(func(now bool, _ uint64, _ string) {
		up = up || now
		cancel()
	})
	began := time.Now()
	if err := c.Run(ctx); err != nil {
		return "", err
	}
	if !up && refuses(last.err) {
		return "", fmt.Errorf("%s: %w", hub, last.err)
	}
	if !up {
		return "", fmt.Errorf("%s: no connection in %v: %s", hub, checkTime, last)
	}
	return fmt.Sprintf("%s, %v", hub, time.Since(began).Round(time.Millisecond)), nil
}

// refuses tells whether the hub has said no: it says so again.
func refuses(err error) bool {
	return errors.Is(err, uplink.ErrCredential) || errors.Is(err, uplink.ErrNotLetIn)
}

// lastError is a log that keeps the newest error told to it. It is used by one
// goroutine.
type lastError struct {
	err     error  // nil: there was none
	refused func() // called when the hub has refused
}

// String is the error, empty where there was none.
func (l lastError) String() string {
	if l.err == nil {
		return ""
	}
	return l.err.Error()
}

func (l *lastError) Enabled(context.Context, slog.Level) bool { return true }

func (l *lastError) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && a.Key == "err" {
			l.err = err
		}
		return true
	})
	if refuses(l.err) {
		l.refused()
	}
	return nil
}

func (l *lastError) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lastError) WithGroup(string) slog.Handler      { return l }
