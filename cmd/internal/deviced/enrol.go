package deviced

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/drivers/gpio"
	"github.com/tacet-hub/tacet/drivers/watchdog"
	"github.com/tacet-hub/tacet/firmware"
)

// BootFile is the name of the configuration that a person puts on the boot
// partition, which any PC can read.
const BootFile = "tacet.yaml"

// Boot is the directory in which the boot partition has a [BootFile]; empty where
// there is none.
func Boot() string {
	for _, dir := range []string{"/boot/firmware", "/boot"} { // Raspberry Pi OS, our own image
		if _, err := os.Stat(filepath.Join(dir, BootFile)); err == nil {
			return dir
		}
	}
	return ""
}

// readFiles reads the file at path and the one of the boot partition over it.
func (c *Config) readFiles(path, boot string) (settings.Origins, error) {
	origins, err := settings.LoadYAML(path, c)
	c.coded = path
	file := filepath.Join(boot, BootFile)
	if boot == "" || path == file {
		return origins, err
	}
	over, wrong := settings.LoadYAML(file, c)
	maps.Copy(origins, over)
	if _, has := over["enrol_code"]; has {
		c.coded = file
	}
	return origins, append(faultsOf(err), faultsOf(wrong)...).Err()
}

// credential is what a code was traded for, and stays in the data directory.
type credential struct {
	Credential
	Secret string `json:"secret"`
	Code   string `json:"code"` // digest of the code
}

func (c Config) credentialFile() string { return filepath.Join(c.dataDir(), "credential") }

// Enrols tells whether the device has a code that it has not traded yet.
func (c Config) Enrols() bool { return c.EnrolCode != "" && c.enrolled.Code != digestOf(c.EnrolCode) }

func digestOf(code string) string {
	sum := sha256.Sum256([]byte(code))
	return hex.EncodeToString(sum[:8])
}

// adopt fills in who the device is for the hub, where a code was traded and
// nothing else was written.
func (c *Config) adopt(o settings.Origins) error {
	c.codeAt = o.Of("enrol_code")
	b, err := os.ReadFile(c.credentialFile())
	if errors.Is(err, fs.ErrNotExist) || err != nil && c.Device != "" { // whoever opens the memory says what is wrong
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, &c.enrolled)
	}
	if err != nil {
		return settings.Faults{{Where: c.credentialFile(), Text: "it cannot be read: " + reason(err) + "; enrol the device again"}}
	}
	switch {
	case c.Enrols(): // it becomes another one
		return nil
	case c.Username != "" && c.Username != c.enrolled.Device: // it signs in as another one
		c.enrolled.Secret = ""
		return nil
	case o.Of("device") != "" && c.Device != c.enrolled.Device:
		return settings.Faults{o.Faultf("device", "it is %q here, and was enrolled as %q: enrol it again, or leave the key out", c.Device, c.enrolled.Device)}
	}
	c.Device, c.Username = c.enrolled.Device, c.enrolled.Device
	if o.Of("area") == "" {
		c.Area = c.enrolled.Area
	}
	if o.Of("hub") == "" {
		c.Hub = []string{c.enrolled.MQTT}
		if c.enrolled.MQTTS != nil {
			c.Hub = []string{*c.enrolled.MQTTS}
		}
	}
	return nil
}

// reason is what the system said of a file, without its name.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

// enrolFaults tells what is wrong with the keys of the enrolment.
func (c Config) enrolFaults() (faults settings.Faults) {
	fault := func(bad bool, key, text string) {
		if bad {
			faults = append(faults, settings.Fault{Key: key, Text: text})
		}
	}
	at, err := url.Parse(c.EnrolHub)
	fault(c.EnrolHub != "" && (err != nil || at.Scheme != "http" && at.Scheme != "https" || at.Host == "" || at.User != nil),
		"enrol_hub", fmt.Sprintf("%q is not an address such as https://hub.local:8080", c.EnrolHub))
	fault(c.EnrolCode != "" && c.EnrolHub == "", "enrol_code", "it needs enrol_hub, where it is traded")
	fault(c.EnrolCode != "" && c.PasswordFile != "", "enrol_code", "a device has either a code or a password_file")
	fault(c.EnrolCode != "" && c.Data == "" && c.Sim && c.Device == "", "data", "it is needed with a code and no device")
	return faults
}

// Times of the trade of a code.
const (
	enrolTime  = 10 * time.Second // of an attempt; systemd hears nothing meanwhile
	enrolWait  = 2 * time.Second  // before the second attempt; it doubles
	enrolWaits = 8 * time.Second  // and no more: systemd is to hear something
)

// Enrol trades the code of a configuration for the device's credential, which
// stays in its data directory, and takes the code out of the file that has it. It
// tries until the hub answers or ctx ends: a hub that is not there yet, or whose
// certificate begins in a future that a clock that is not set has not reached, is
// no reason to give up. It fails where the hub refuses; that the code is used is
// told with the place of the code. A device that has a credential already keeps
// that then. Where it is done already, or there is no code, it does nothing.
func Enrol(ctx context.Context, cfg Config, log *slog.Logger) error {
	if cfg.EnrolCode == "" {
		return nil
	}
	if cfg.Enrols() {
		err := cfg.trade(ctx, log)
		if err != nil && cfg.enrolled.Secret != "" && cfg.settled() == nil {
			log.Error("the code is refused, the device stays who it was", "err", err)
		} else if err != nil {
			return err
		}
	}
	if !strings.HasPrefix(cfg.codeAt, cfg.coded+":") { // a variable has it
		return nil
	}
	err := writable(filepath.Dir(cfg.coded), func() error { return blank(cfg.coded, cfg.EnrolCode) })
	if err != nil {
		log.Warn("the code is used, and still in the file", "err", err)
		return nil
	}
	log.Info("the code is taken out of the file", "topic", cfg.coded)
	return nil
}

// trade asks until it is answered.
func (c Config) trade(ctx context.Context, log *slog.Logger) error {
	var systemd *watchdog.Notifier
	if c.Alone {
		var err error
		if systemd, err = watchdog.Systemd(os.Getenv); err != nil {
			return err
		}
		defer func() { _ = systemd.Close() }() // the device has one of its own
	}
	lit, dark := context.WithCancel(ctx)
	var light sync.WaitGroup
	defer light.Wait()
	defer dark()
	for wait := enrolWait; ; wait = min(2*wait, enrolWaits) {
		_ = errors.Join(systemd.Ready(), systemd.Feed(), systemd.Status("trading the enrolment code at "+c.EnrolHub))
		err := c.tradeOnce(ctx)
		if r, is := errors.AsType[*refusal](err); err == nil || ctx.Err() != nil || is && r.final() || errors.Is(err, errKeep) {
			return c.traded(err)
		}
		if wait == enrolWait && c.CanShowFault() {
			light.Go(func() { show(lit, c.GPIO, gpio.NewMachine(), firmware.LightNoHub) })
		}
		log.Warn("code not traded yet", "node", c.EnrolHub, "err", err, "dur", wait)
		t := time.NewTimer(wait - rand.N(wait/4))
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

// traded is what became of the trade, for people: also in a file beside the one
// that has the code, since a device may have no other way to say it.
func (c Config) traded(err error) error {
	text := "enrolled at " + c.EnrolHub
	if err != nil {
		err = settings.Faults{{Where: c.codeAt, Key: "enrol_code", Text: err.Error()}}.Err()
		text = err.Error()
	}
	if c.coded != "" {
		dir := filepath.Dir(c.coded)
		// Where it cannot be written, the log and the light tell it.
		_ = writable(dir, func() error { return os.WriteFile(filepath.Join(dir, "tacet-report.txt"), []byte(text+"\n"), 0o644) })
	}
	return err
}

// checkWeb asks the hub where the code is to be traded whether it lives.
func checkWeb(ctx context.Context, cfg Config) (string, error) {
	roots, err := cfg.tls()
	if err != nil {
		return "", err
	}
	roots.Time = cfg.calendar(firmware.KeptTime(cfg.dataDir())).Now
	at, err := url.Parse(cfg.EnrolHub)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.JoinPath("healthz").String(), nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: checkTime, Transport: &http.Transport{TLSClientConfig: roots, Proxy: http.ProxyFromEnvironment}}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s", cfg.EnrolHub, res.Status)
	}
	return cfg.EnrolHub, nil
}

var errKeep = errors.New("the credential cannot be kept")

// tradeOnce trades the code. That the credential can be kept is known before the
// code is used up.
func (c Config) tradeOnce(ctx context.Context) error {
	file := c.credentialFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "credential.*") // of mode 0600
	if err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	roots, err := c.tls()
	if err != nil {
		return fmt.Errorf("%w: %w", errKeep, err)
	}
	roots.Time = c.calendar(firmware.KeptTime(c.dataDir())).Now
	at, err := url.Parse(c.EnrolHub)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTime)
	defer cancel()
	got, secret, err := redeem(ctx, at.JoinPath("api/v1/enrolments", c.EnrolCode).String(), roots)
	if err != nil {
		return err
	}
	b, err := json.Marshal(credential{Credential: got, Secret: secret, Code: digestOf(c.EnrolCode)})
	if err == nil {
		// It lasts before the code goes: else a loss of power could take both.
		err = errors.Join(write(tmp, b), os.Rename(tmp.Name(), file), syncDir(filepath.Dir(file)))
	}
	if err != nil {
		return fmt.Errorf("the code is used up and %w, make another code: %w", errKeep, err)
	}
	return nil
}

// settled notes that the code was refused, and need not be asked for again.
func (c Config) settled() error {
	c.enrolled.Code = digestOf(c.EnrolCode)
	b, err := json.Marshal(c.enrolled)
	if err != nil {
		return err
	}
	return replace(c.credentialFile(), string(b))
}

func write(f *os.File, b []byte) error {
	_, err := f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}
