package hubd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/broker/area"
)

// ailing is what is remembered of the health of devices, so that each thing is
// told once: of 20,000 devices, the bound of the roster; of one more nothing is
// told.
type ailing struct {
	mu    sync.Mutex
	known map[area.DeviceID]ailment
}

const ailingMost = 20_000

type ailment struct {
	boot   uint64
	health area.Health
}

// freshStart is how long ago a start may be whose reason is told: a hub that was
// started again hears of old ones.
const freshStart = 10 * time.Minute

// watchHealth tells operators of devices that crash, are in safe mode, or have a
// fault. It hears what devices say of themselves, and only enqueues.
func (h *Hub) watchHealth() (cancel func(), err error) {
	a := &ailing{known: map[area.DeviceID]ailment{}}
	return h.bus.Subscribe(area.StatusTopic("+"), func(m area.Message) {
		if m.Replay || m.Will || len(m.Payload) == 0 {
			return
		}
		s, err := area.ParseStatus(m.Payload)
		if err != nil || s.Health == nil {
			return // the arbiter counts what cannot be read
		}
		d := area.ParseTopic(m.Topic).Device
		was := a.faultsOf(d)
		for _, c := range a.news(d, s) {
			if h.acts(m) {
				h.alerts.Raise(c, 1)
			}
		}
		if text := s.Health.Faults["audio"]; text != "" && was["audio"] == "" {
			h.log.Warn("a device has nothing to sound by", "device", d, "err", plainly(text))
		}
	})
}

// faultsOf is what was wrong with a device.
func (a *ailing) faultsOf(d area.DeviceID) map[string]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known[d].health.Faults
}

// news is what is to be told of a device now.
func (a *ailing) news(d area.DeviceID, s area.Status) []bridge.Cause {
	a.mu.Lock()
	was, known := a.known[d]
	if !known && len(a.known) >= ailingMost {
		a.mu.Unlock()
		return nil
	}
	a.known[d] = ailment{boot: s.Boot, health: *s.Health}
	a.mu.Unlock()
	if !known || was.boot != s.Boot {
		return append(ofStart(d, s.Health), ofHealth(d, area.Health{}, s.Health)...)
	}
	return ofHealth(d, was.health, s.Health)
}

// ofStart tells of a start that nobody had asked for.
func ofStart(d area.DeviceID, h *area.Health) (causes []bridge.Cause) {
	if time.Duration(h.UptimeS)*time.Second > freshStart {
		return nil
	}
	switch h.BootReason {
	case area.BootCrash:
		return []bridge.Cause{ails(bridge.AlertWarning, d, "crash", "device %s crashed and was started again; its last lines are on tacet/device/%[1]s/log", d)}
	case area.BootWatchdog:
		return []bridge.Cause{ails(bridge.AlertWarning, d, "hang", "device %s made no progress and was started again; its last lines are on tacet/device/%[1]s/log", d)}
	}
	return nil
}

// ofHealth tells of what has become worse.
func ofHealth(d area.DeviceID, was area.Health, is *area.Health) (causes []bridge.Cause) {
	if is.SafeMode && !was.SafeMode {
		causes = append(causes, ails(bridge.AlertError, d, "safe", "device %s is in safe mode and plays nothing; tacet device restart %[1]s ends that", d))
	}
	if weak := func(h *area.Health) bool { return h.UnderVoltage != nil && *h.UnderVoltage }; weak(is) && !weak(&was) {
		causes = append(causes, ails(bridge.AlertWarning, d, "supply", "the power supply of device %s is too weak", d))
	}
	for _, part := range slices.Sorted(maps.Keys(is.Faults)) {
		if text := is.Faults[part]; was.Faults[part] != text {
			level := bridge.AlertWarning
			if part == "configuration" {
				level = bridge.AlertError
			}
			causes = append(causes, ails(level, d, "fault "+part, "device %s: %s: %s", d, plainly(part), plainly(text)))
		}
	}
	return causes
}

func ails(level string, d area.DeviceID, what, words string, args ...any) bridge.Cause {
	return bridge.Cause{Key: "device " + what + " " + string(d), Alert: bridge.Alert{Level: level, Message: fmt.Sprintf(words, args...)}}
}

// plainly is a text of a device in one line of an alert.
func plainly(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
