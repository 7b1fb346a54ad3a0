package deviced

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pin "periph.io/x/conn/v3/gpio"
	"periph.io/x/conn/v3/gpio/gpiotest"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/drivers/gpio"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// bench is a board's pins that are made when they are asked for; those whose
// names are in busy somebody has.
type bench struct {
	mu   sync.Mutex
	pins map[string]*gpiotest.Pin
	busy string
}

func (b *bench) get(name string) (*gpiotest.Pin, error) {
	if _, err := gpio.ParsePin(name); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if name == b.busy {
		return nil, &gpio.BusyError{Pin: name, Consumer: "relayd"}
	}
	if b.pins == nil {
		b.pins = map[string]*gpiotest.Pin{}
	}
	if b.pins[name] == nil {
		b.pins[name] = &gpiotest.Pin{N: name, EdgesChan: make(chan pin.Level, 10)}
	}
	return b.pins[name], nil
}

func (b *bench) Out(name string) (pin.PinOut, error) { return b.get(name) }

func (b *bench) In(name string, pull pin.Pull) (pin.PinIn, error) {
	p, err := b.get(name)
	if err != nil {
		return nil, err
	}
	return p, p.In(pull, pin.BothEdges)
}

func (b *bench) at(name string) *gpiotest.Pin { p, _ := b.get(name); return p }

func (b *bench) high(name string) bool {
	p := b.at(name)
	p.Lock()
	defer p.Unlock()
	return bool(p.L)
}

func TestEveryStateHasAPattern(t *testing.T) {
	patterns := slices.Sorted(maps.Keys(gpio.Patterns()))
	lights := firmware.Lights()
	slices.Sort(lights)
	if !slices.Equal(patterns, lights) {
		t.Errorf("the driver has %v, the agent %v", patterns, lights)
	}
}

// What happens at the pins of a device is heard at the hub: a press mutes and is
// an event, a door is a reading. A pin that somebody has costs nothing else.
func TestPinsOfADevice(t *testing.T) {
	url, b := hub(t)
	heard := make(chan string, 100)
	for _, filter := range []string{"tacet/device/gate-1/event/+", "tacet/device/gate-1/tele/+", "tacet/device/gate-1/status"} {
		cancel, err := b.Subscribe(filter, func(m area.Message) {
			line := strings.TrimPrefix(m.Topic, "tacet/device/gate-1/")
			if s, err := area.ParseStatus(m.Payload); line == "status" && err == nil {
				line += fmt.Sprint(" online ", s.Online, " muted ", s.Muted)
				if s.Health != nil && s.Online && s.Health.Faults["gpio.busy_lamp"] == `pin GPIO17 is in use by "relayd"` && s.Health.Pins["amp_enable"] == "GPIO22" {
					heard <- "the status tells of the pins"
				}
			} else {
				line += " " + strings.Split(string(m.Payload), `,"ts"`)[0]
			}
			heard <- line
		})
		if err != nil {
			t.Fatal(err)
		}
		defer cancel()
	}
	var log bytes.Buffer
	pins := &bench{busy: "GPIO17"}
	g := GPIO{AmpEnable: "GPIO22", BusyLamp: "GPIO17", StatusLED: "GPIO27", MuteButton: "GPIO5", Inputs: []Input{{Pin: "GPIO6", Name: "door"}}}
	sw := newPins(slog.New(slog.NewTextHandler(&log, nil)))
	if err := sw.take(g.config(), pins); err != nil {
		t.Fatal(err)
	}
	if want := `gpio.busy_lamp: pin GPIO17 is in use by \"relayd\"`; !strings.Contains(log.String(), want) {
		t.Errorf("the log does not say %q: %s", want, log.String())
	}
	a := agentOf(t, url, sw)
	sw.hear(a, true)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sw.around(ctx, a.Run) }()
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
	until("status online true muted false", "tele/door false", "the status tells of the pins")
	sw.mu.Lock()
	if sw.alert != firmware.LightConfigError {
		t.Errorf("a pin cannot be had, and the light is to show %q", sw.alert)
	}
	sw.mu.Unlock()
	pins.at("GPIO5").EdgesChan <- pin.Low
	until("event/mute_button {\"on\":true", "status online true muted true")
	pins.at("GPIO6").EdgesChan <- pin.Low
	until("event/door {\"on\":true", "tele/door true")
	pins.at("GPIO6").EdgesChan <- pin.High
	until("tele/door false")
	if err := sw.Amp(true); err != nil || !pins.high("GPIO22") {
		t.Errorf("the amplifier: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if pins.high("GPIO22") || pins.high("GPIO27") {
		t.Error("something is on after the end")
	}
}

// agentOf is an agent that is real but for its loudspeaker and its pins.
func agentOf(t *testing.T, url string, sw *board) *firmware.Agent {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	up, err := uplink.New(uplink.Config{Hubs: []string{url}, ClientID: "gate-1"}, log)
	if err != nil {
		t.Fatal(err)
	}
	m, err := firmware.OpenMemory(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	r, err := newRenderer()
	if err != nil {
		t.Fatal(err)
	}
	a, err := firmware.New(firmware.Config{Device: "gate-1", Area: "north", Rate: media.Rate, Volume: 70},
		firmware.Parts{Uplink: up, Player: sim.NewAudio(sim.Config{}), Beacon: sw, Clock: firmware.Boottime{}, Renderer: r, Memory: m, Log: log, Gauges: []func(*area.Health){sw.gauge}})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Whoever has made a fault in the configuration sees it at the device.
func TestFaultIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pins := &bench{}
		ended := make(chan bool, 1)
		go func() { ended <- showFault(t.Context(), GPIO{StatusLED: "GPIO27"}, pins, 10*time.Second) }()
		blinks, was := 0, false
		for range 990 {
			time.Sleep(10 * time.Millisecond)
			if is := pins.high("GPIO27"); is != was {
				was = is
				blinks++
			}
		}
		if !<-ended || blinks < 20 || blinks > 32 {
			t.Errorf("%d changes in 10 s", blinks)
		}
		pins.busy = "GPIO27"
		began := time.Now()
		if showFault(t.Context(), GPIO{StatusLED: "GPIO27"}, pins, time.Minute) || time.Since(began) > 0 {
			t.Error("somebody has the light, and it was waited for")
		}
		if showFault(t.Context(), GPIO{StatusLED: "27"}, pins, time.Minute) {
			t.Error("the light itself is the fault, and it was shown")
		}
	})
}

// noPins is a machine without GPIO.
type noPins struct{}

func (noPins) Out(string) (pin.PinOut, error)         { return nil, gpio.ErrNoChip }
func (noPins) In(string, pin.Pull) (pin.PinIn, error) { return nil, gpio.ErrNoChip }

// A machine without GPIO says so for each pin, and goes on.
func TestNoGPIO(t *testing.T) {
	var log bytes.Buffer
	sw := newPins(slog.New(slog.NewTextHandler(&log, nil)))
	if err := sw.take(GPIO{AmpEnable: "GPIO22", StatusLED: "GPIO27"}.config(), noPins{}); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "no GPIO chip can be used"); n != 2 {
		t.Errorf("%d lines: %s", n, log.String())
	}
	if err := sw.Amp(true); !errors.Is(err, gpio.ErrNoChip) {
		t.Errorf("Amp: %v", err)
	}
	if err := errors.Join(sw.Amp(false), sw.Close()); err != nil && !errors.Is(err, gpio.ErrNoChip) {
		t.Error(err)
	}
	if err := Quiet(Config{Sim: true, GPIO: GPIO{AmpEnable: "GPIO22"}}); err != nil {
		t.Errorf("Quiet of a simulated device: %v", err)
	}
}

// table is lines as a kernel tells of them.
type table map[string]gpio.Line

func (t table) Line(name string) (gpio.Chip, gpio.Line, error) {
	l, ok := t[name]
	if !ok {
		return gpio.Chip{}, l, errors.New("there is no pin " + name)
	}
	return gpio.Chip{Name: "gpiochip0"}, l, nil
}

func (t table) PWM(name string) error { _, _, err := t.Line(name); return err }

func TestCheckPins(t *testing.T) {
	has := table{"GPIO22": {Offset: 22}, "GPIO17": {Offset: 17, Used: true, Consumer: "relayd"}, "GPIO5": {Offset: 5, Used: true, Consumer: "tacet-device@71"}, "pwmchip0/1": {}}
	g := GPIO{AmpEnable: "GPIO22", BusyLamp: "GPIO17", StatusLED: "pwmchip0/1", MuteButton: "GPIO5", Inputs: []Input{{Name: "door", Pin: "GPIO6"}}}
	want := []Finding{
		{"gpio", true, "gpio.amp_enable: GPIO22, line 22 of gpiochip0"},
		{"gpio", false, `gpio.busy_lamp: GPIO17, line 17 of gpiochip0, in use by "relayd"`},
		{"gpio", true, "gpio.status_led: pwmchip0/1"},
		{"gpio", true, `gpio.mute_button: GPIO5, line 5 of gpiochip0, in use by "tacet-device@71"`},
		{"gpio", false, "gpio.inputs[0]: there is no pin GPIO6"},
	}
	if got := checkPins(g, has); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if f := checkPin("busy_lamp", "pwmchip1/0", has); f.OK {
		t.Errorf("a pulse-width output that is not there: %v", f)
	}
}

// What should not have happened is in the log, once.
func TestPinsThatWentWrongAreLogged(t *testing.T) {
	var log bytes.Buffer
	b := newPins(slog.New(slog.NewTextHandler(&log, nil)))
	for _, s := range []gpio.Stats{{}, {Lost: 3}, {Lost: 3, AmpCut: 1}, {Lost: 5, AmpCut: 1}} {
		b.tell(s)
	}
	for text, want := range map[string]int{"were lost": 2, "n=3": 1, "n=2": 1, "on for too long": 1} {
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%q is %d times in %s", text, n, log.String())
		}
	}
}

// A pin with a name that there is not, or that another has, is told with its
// place, in the log, in the status and by check; the device is one without it.
func TestBadPinIsToldWithItsPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "device.yaml")
	text := "device: gate-1\narea: north\ngpio:\n  amp_enable: 22\n  mute_button: GPIO6\n  inputs: [{pin: PIN31, name: door}]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := Load(file, []string{"TACET_DEVICE_GPIO_BUSY_LAMP=PIN6"}, func(c *Config, _ settings.Origins) { c.Sim, c.Data = true, filepath.Join(t.TempDir(), "data") })
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		file + `:4: gpio.amp_enable: "22" may be a GPIO or a place on the header: write GPIO22 or PIN22`,
		`TACET_DEVICE_GPIO_BUSY_LAMP: gpio.busy_lamp: "PIN6" is ground, which cannot be switched`,
		file + `:6: gpio.inputs[0].pin: mute_button has GPIO6 already`,
	}
	var log bytes.Buffer
	d, err := New(cfg, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	h := area.Health{Faults: map[string]string{}, Pins: map[string]string{}}
	d.pins.gauge(&h)
	for i, f := range checkGPIO(cfg) {
		if f.OK || f.Text != want[i] {
			t.Errorf("check tells %v, want %q", f, want[i])
		}
	}
	for _, w := range want {
		where, rest, _ := strings.Cut(w, ": gpio.")
		key, what, _ := strings.Cut(rest, ": ")
		if got := h.Faults["gpio."+key]; got != where+": "+what {
			t.Errorf("the status tells of %s: %q", key, got)
		}
		if !strings.Contains(log.String(), strings.ReplaceAll(w, `"`, `\"`)) {
			t.Errorf("the log does not tell %q: %s", w, log.String())
		}
	}
}
