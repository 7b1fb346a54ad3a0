package deviced

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/firmware/leader/office"
	"github.com/tacet-hub/tacet/firmware/update"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Config is device.yaml. Its zero value has no defaults; [Default] has.
type Config struct {
	Device       string   `yaml:"device"`        // id; needed
	Hub          []string `yaml:"hub"`           // mqtt://, mqtts://, ws:// or wss://, tried in turn
	Web          string   `yaml:"web"`           // http:// or https:// of the hub's web listener; empty: the hub tells
	Area         string   `yaml:"area"`          // id or name; needed
	Location     string   `yaml:"location"`      // id or name; empty: not known
	Name         string   `yaml:"name"`          // for people; empty: the id
	Username     string   `yaml:"username"`      // for the hub; empty: none
	PasswordFile string   `yaml:"password_file"` // file that holds the password
	CAFile       string   `yaml:"ca_file"`       // authorities that the hub's certificate may be of, PEM; empty: the system's
	CertFile     string   `yaml:"cert_file"`     // certificate to show to the hub, PEM, read at each connection; empty: none
	KeyFile      string   `yaml:"key_file"`      // and its key
	Audio        Audio    `yaml:"audio"`
	GPIO         GPIO     `yaml:"gpio"`
	Sensors      []Sensor `yaml:"sensors"`
	Peers        Peers    `yaml:"peers"`

	Announcements []Announcement `yaml:"announcements"` // what the area says by its own schedule while its hub cannot be reached
	Clips         Clips          `yaml:"clips"`
	Updates       Updates        `yaml:"updates"`
	EnrolHub      string         `yaml:"enrol_hub"`  // http:// or https:// where the code is traded
	EnrolCode     string         `yaml:"enrol_code"` // of "tacet device enrol", good once: the device trades it for its credential, which stays in data; empty: none
	Data          string         `yaml:"data"`       // empty: /var/lib/tacet, with Sim ./DEVICE-data

	Watchdog string `yaml:"watchdog"`  // of the machine, such as /dev/watchdog; empty: none. That of systemd is found by itself
	SafeMode string `yaml:"safe_mode"` // after five failed starts: auto, on (always, whatever happened) or off; empty: auto, with Sim off

	Sim   bool `yaml:"-"` // simulated relay, lamp and button, and loudspeaker where Output is auto
	Fresh bool `yaml:"-"` // it was enrolled just now: the hub is told by the event "enrolled"
	Alone bool `yaml:"-"` // the process runs this device and nothing else: systemd and the runtime are told of it

	// Lead makes what the device leads its area with, in this process; nil: the
	// program tacet-leader leads. The directory is the leader's own.
	Lead func(s office.Setup, link office.Link, now func() time.Time, log *slog.Logger) (Leader, error) `yaml:"-"`

	// Launched is how the process was started; its zero value takes no updates.
	Launched update.Launched `yaml:"-"`

	enrolled credential // what a code was traded for; zero: nothing was
	coded    string     // file that has the code; empty: none has
	fault    string     // why this is all that is left of a configuration; empty: it is whole
	codeAt   string     // where the code was written
	badPins  badPins    // set by Load
	WAV      string     `yaml:"-"` // with Sim: file that the simulated loudspeaker records to; empty: none
}

// Audio is the loudspeaker.
type Audio struct {
	Output string `yaml:"output"` // one of the Outputs; empty: auto
	Card   string `yaml:"card"`   // of alsa: number, id, hw:CARD,DEVICE or a path in /dev/snd; of aplay: any ALSA name; of pulse: a sink; empty: the likeliest
	File   string `yaml:"file"`   // of wav
	Volume int    `yaml:"volume"` // percent

	FollowNoise FollowNoise `yaml:"follow_noise"` // with a sensor of driver noise: how the volume follows it
}

// FollowNoise adds to the volume what the noise in the room asks for.
type FollowNoise struct {
	Quiet float64 `yaml:"quiet"` // dB, as the sensor tells them: nothing is added
	Loud  float64 `yaml:"loud"`  // dB: boost is added
	Boost int     `yaml:"boost"` // percent; 0: off
}

// GPIO is the pins of a board, named as in gpio.ParsePin; with Sim all of it is
// simulated, and none is used. Empty: there is no such thing.
type GPIO struct {
	AmpEnable  string        `yaml:"amp_enable"`  // active high: on while the device sounds
	AmpLead    area.Duration `yaml:"amp_lead"`    // on for so long before the first sample; default 30 ms
	AmpHold    area.Duration `yaml:"amp_hold"`    // and after the last; 0: 2 s
	AmpMost    area.Duration `yaml:"amp_most"`    // off when it was on for so long and nothing new sounds; 0: 20 min
	BusyLamp   string        `yaml:"busy_lamp"`   // active high: on while the area sounds
	StatusLED  string        `yaml:"status_led"`  // blinks how the device is; here and for the lamp also pwmchip0/1
	Brightness int           `yaml:"brightness"`  // percent, of lamp and light at a pulse-width output; 0: 100
	MuteButton string        `yaml:"mute_button"` // to ground
	ButtonMost area.Duration `yaml:"button_most"` // it is stuck when it was pressed for so long; 0: 30 s
	Inputs     []Input       `yaml:"inputs"`
}

// Input is a pin whose presses are events and whose state is a reading.
type Input struct {
	Pin    string        `yaml:"pin"`
	Name   string        `yaml:"name"`
	Active string        `yaml:"active"` // low: connected to ground; high: to 3.3 V; default low
	Pull   string        `yaml:"pull"`   // up, down or none; default against active
	Stuck  area.Duration `yaml:"stuck"`  // it is stuck when it was active for so long; 0: it may be
}

// Sensor is a sensor of the device; its readings are on
// tacet/device/{device}/tele/{metric}, or with a name on …/tele/{name}/{metric}.
type Sensor struct {
	Driver      string        `yaml:"driver"`      // bme280, ds18b20, noise, cpu or supply
	Name        string        `yaml:"name"`        // empty: none, for cpu and supply their own
	Bus         string        `yaml:"bus"`         // bme280: number of the I²C bus; empty: 1
	Address     int           `yaml:"address"`     // bme280: 0x76 or 0x77; 0: 0x76
	ID          string        `yaml:"id"`          // ds18b20: such as 28-0316a2b1c2ff; empty: the only one
	Card        string        `yaml:"card"`        // noise: the microphone's card; empty: the first that records
	Calibration float64       `yaml:"calibration"` // noise: dB that full scale is; 0: readings are dBFS
	Every       area.Duration `yaml:"every"`       // 0: 30 s, of noise 10 s
}

// The values of [Config.SafeMode].
const (
	SafeModeAuto = "auto"
	SafeModeOn   = "on"
	SafeModeOff  = "off"
)

const (
	defaultHub  = "mqtt://127.0.0.1:1883"
	defaultData = "/var/lib/tacet"
	envPrefix   = "TACET_DEVICE_"
	envFile     = envPrefix + "CONFIG"
)

// Default is the configuration with every default.
func Default() Config {
	return Config{Hub: []string{defaultHub}, Audio: Audio{Output: OutputAuto, Volume: 70}, GPIO: GPIO{AmpLead: defaultAmpLead}, Clips: Clips{CacheBytes: defaultCache, Share: true}}
}

// Load is [LoadBoot] of a machine without a boot partition.
func Load(path string, environ []string, flags func(*Config, settings.Origins)) (c Config, unknown []string, err error) {
	return LoadBoot(path, "", environ, flags)
}

// LoadBoot reads the file at path (empty: what TACET_DEVICE_CONFIG names, else
// none), lays tacet.yaml of the boot partition over it, which is in the directory
// boot (empty: there is none), then the environment and then the flags, fills in
// what an enrolment code was traded for, and checks the whole. environ is as
// os.Environ gives it. Unknown variables with our prefix are answered, for
// a warning. Its error tells all faults at once, each with where it was written.
func LoadBoot(path, boot string, environ []string, flags func(*Config, settings.Origins)) (c Config, unknown []string, err error) {
	for _, pair := range environ {
		if file, ok := strings.CutPrefix(pair, envFile+"="); ok && path == "" {
			path = file
		}
	}
	c = Default()
	origins, err := c.readFiles(path, boot)
	unknown, wrong := settings.OverlayEnv(envPrefix, environ, &c, origins)
	unknown = slices.DeleteFunc(unknown, func(v string) bool { return v == envFile })
	if flags != nil {
		flags(&c, origins)
	}
	faults := told(nil, err, origins)
	for _, more := range []error{wrong, c.adopt(origins), c.check(origins)} {
		faults = told(faults, more, origins)
	}
	c.badPins = c.GPIO.bad(origins)
	return c, unknown, faults.Err()
}

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error { return c.check(nil) }

func (c Config) check(o settings.Origins) error {
	var faults settings.Faults
	fault := func(bad bool, key, format string, args ...any) {
		if bad {
			faults = append(faults, o.Faultf(key, format, args...))
		}
	}
	for _, f := range c.enrolFaults() {
		fault(true, f.Key, "%s", f.Text)
	}
	if c.Enrols() { // the hub says who it is
		return faults.Err()
	}
	fault(!area.IsID(c.Device), "device", "%q is not 1 to 64 of A-Z a-z 0-9 _ -", c.Device)
	_, areaOK := c.areaID()
	fault(!areaOK, "area", "%q is neither an id nor a name that makes one", c.Area)
	fault(len(c.Area) > 128, "area", "it has more than 128 bytes")
	fault(len(c.Location) > 128, "location", "it has more than 128 bytes")
	fault(len(c.Name) > 128, "name", "it has more than 128 bytes")
	fault(len(c.Hub) == 0, "hub", "there is none")
	for i, h := range c.Hub {
		key := fmt.Sprintf("hub[%d]", i)
		if _, err := uplink.ParseHub(h); h == "discover" {
			fault(true, key, "a hub cannot be searched for in this version")
		} else if err != nil {
			fault(true, key, "%s", strings.TrimPrefix(err.Error(), "uplink: "))
		}
	}
	_, err := c.Updates.keys()
	fault(err != nil, "updates.keys", "%v", err)
	web := c.checkWeb()
	fault(web != "", "web", "%s", web)
	fault(c.Clips.CacheBytes < leastCache, "clips.cache_bytes", "%d is not %d or more", c.Clips.CacheBytes, leastCache)
	wrong := c.Clips.checkListen()
	fault(wrong != "", "clips.listen", "%q: %s", c.Clips.Listen, wrong)
	fault(c.Username == "" && c.PasswordFile != "", "password_file", "a password without a username")
	fault((c.CertFile == "") != (c.KeyFile == ""), "cert_file", "cert_file and key_file go together")
	for _, f := range c.Audio.faults() {
		fault(true, "audio."+f[0], "%s", f[1])
	}
	fault(!slices.Contains([]string{"", SafeModeAuto, SafeModeOn, SafeModeOff}, c.SafeMode), "safe_mode", "%q is none of auto, on, off", c.SafeMode)
	fault(c.Audio.Volume < 0 || c.Audio.Volume > 100, "audio.volume", "%d is not 0 to 100", c.Audio.Volume)
	fault(c.WAV != "" && !c.Sim, "wav", "it records a simulated loudspeaker, with --sim; without, write audio.output: wav and audio.file")
	fault(c.WAV != "" && !slices.Contains([]string{"", OutputAuto, OutputSim}, c.Audio.Output), "audio.output", "%s does not record to the file of --wav; leave one of them out", c.Audio.Output)
	for _, f := range c.GPIO.faults() {
		fault(!f.Pin, "gpio."+f.Key, "%s", f.Text) // without a pin the rest goes on
	}
	for _, f := range c.sensorFaults() {
		fault(true, f.Key, "%s", f.Text)
	}
	for key, wrong := range c.Peers.faults() {
		fault(wrong != "", key, "%s", wrong)
	}
	for key, text := range c.announcementFaults() {
		fault(true, key, "%s", text)
	}
	return faults.Err()
}

// areaID is the id whose topics the device speaks on: the text itself, or what
// the hub would make of it.
func (c Config) areaID() (area.Name, bool) {
	if area.IsID(c.Area) {
		return area.Name(c.Area), true
	}
	return area.Slug(c.Area)
}

// dataDir is where the memory is.
func (c Config) dataDir() string {
	switch {
	case c.Data != "":
		return c.Data
	case c.Sim:
		return filepath.Join(".", c.Device+"-data")
	}
	return defaultData
}

// uplink is the configuration of the connection, with the given MQTT client id.
func (c Config) uplink(clientID string) (uplink.Config, error) {
	u := uplink.Config{Hubs: c.Hub, ClientID: clientID, Username: c.Username}
	var err error
	if u.TLS, err = c.tls(); err != nil {
		return u, err
	}
	if c.PasswordFile == "" {
		u.Password = c.enrolled.Secret
		return u, nil
	}
	password, err := settings.Secret(c.PasswordFile)
	if errors.Is(err, os.ErrNotExist) {
		return u, fmt.Errorf("password_file: %w", err)
	}
	u.Password = password
	return u, err
}
