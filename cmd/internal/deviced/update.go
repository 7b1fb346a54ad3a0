package deviced

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/fetch"
	"github.com/tacet-hub/tacet/firmware/update"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Updates says whose programs the device takes.
type Updates struct {
	Keys []string `yaml:"keys"` // public keys, as "tacet update key" prints them; empty: those that the program was built with
}

// updateKeys are the keys that the program was built with, with commas between:
// -ldflags '-X github.com/tacet-hub/tacet/cmd/internal/deviced.updateKeys=KEY'.
// Only the linker sets it.
var updateKeys string

func (u Updates) keys() (update.Keys, error) {
	if len(u.Keys) > 0 {
		return update.ParseKeys(u.Keys)
	}
	if updateKeys == "" {
		return nil, nil
	}
	return update.ParseKeys(strings.Split(updateKeys, ","))
}

// updatesDir is where the slots are.
func (c Config) updatesDir() string { return filepath.Join(c.dataDir(), "update") }

// Launching reads what a launcher needs: where the slots are, and whose programs
// are believed, from where [LoadBoot] reads. The configuration may be one for a newer program than this: its
// faults are for the program that is launched to tell. Without a key nothing is
// to be launched.
func Launching(path, boot string, environ []string, flags func(*Config, settings.Origins)) (dir string, keys update.Keys) {
	c := Default()
	for _, pair := range environ {
		if file, ok := strings.CutPrefix(pair, envFile+"="); ok && path == "" {
			path = file
		}
	}
	origins, _ := settings.LoadYAML(path, &c)
	if boot != "" {
		_, _ = settings.LoadYAML(filepath.Join(boot, BootFile), &c)
	}
	_, _ = settings.OverlayEnv(envPrefix, environ, &c, origins)
	if flags != nil {
		flags(&c, origins)
	}
	keys, err := c.Updates.keys()
	if err != nil {
		return "", nil
	}
	return c.updatesDir(), keys
}

// updates is the part of the device that takes updates. A device that takes none
// says so when it is ordered to.
type updates struct {
	*update.Updater // nil: none are taken
	log             *slog.Logger
	why             string // none are taken
	sounds          func() bool

	mu      sync.Mutex
	refused area.Update // last order of a device that takes none
	agent   *firmware.Agent
}

// newUpdates makes it; u is who the device is for the hub.
func (d *Device) newUpdates(cfg Config, u uplink.Config, version string, log *slog.Logger) (*updates, error) {
	up := &updates{log: log, sounds: d.sounds, refused: area.Update{State: area.UpdateIdle}}
	keys, err := cfg.Updates.keys()
	switch {
	case err != nil:
		return nil, err
	case len(keys) == 0:
		up.why = "it has no key (updates.keys)"
	case cfg.Launched.Launcher == "":
		up.why = "its process does more than run it"
	}
	if up.why != "" {
		return up, nil
	}
	web := fetch.NewWeb(fetch.WebConfig{Name: u.Username, Secret: u.Password, TLS: u.TLS, Plain: cfg.plain(), Through: d.through})
	up.Updater, err = update.New(update.Config{
		Dir: cfg.updatesDir(), Keys: keys, Version: version, Launched: cfg.Launched, Audio: up.sounds, Changed: up.changed,
	}, update.Hub{Web: web, Base: func() string { return d.agent.Web() }}, log)
	return up, err
}

// sounds tells whether audio is well, as far as that is known: there is a way to
// sound, and the last play came to its end.
func (d *Device) sounds() bool {
	c, several := d.sound.Player.(firmware.Chooser)
	return (!several || c.Using() != "") && d.agent.Fault("sound") == ""
}

// changed has the status told.
func (u *updates) changed() {
	u.mu.Lock()
	agent := u.agent
	u.mu.Unlock()
	if agent != nil {
		agent.Refresh()
	}
}

// order takes an order, or says why none is taken.
func (u *updates) order(payload []byte) error {
	if u.Updater != nil {
		return u.Updater.Order(payload)
	}
	var o area.UpdateOrder
	if len(payload) > 0 && json.Unmarshal(payload, &o) != nil || len(o.Order) > 128 || len(o.Version) > 128 {
		return update.ErrBadOrder
	}
	u.mu.Lock()
	u.refused = area.Update{State: area.UpdateRefused, Version: o.Version, Order: o.Order, Reason: u.why}
	u.mu.Unlock()
	return errors.New("no update is taken: " + u.why)
}

// maxReason bounds what is told of a failure, in bytes.
const maxReason = 240

// state is what the status says.
func (u *updates) state() area.Update {
	if u.Updater == nil {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.refused
	}
	s := u.Status()
	reason := s.Reason
	if len(reason) > maxReason {
		reason = strings.ToValidUTF8(reason[:maxReason], "")
	}
	return area.Update{State: string(s.Phase), Version: s.Version, Order: s.Order, Percent: s.Percent, Reason: reason, Slot: string(s.Slot)}
}

// gauge tells of an update that has failed, among what does not work.
func (u *updates) gauge(h *area.Health) {
	if s := u.state(); s.State == area.UpdateFailed {
		h.Faults["update"] = s.Version + ": " + s.Reason
	}
}

// suits is how long a restart waits for a moment at which nothing sounds.
const suits = 15 * time.Minute

// beside runs the agent, and takes updates meanwhile.
func (u *updates) beside(ctx context.Context, agent *firmware.Agent) error {
	if u.Updater == nil {
		return agent.Run(ctx)
	}
	u.mu.Lock()
	u.agent = agent
	u.mu.Unlock()
	own, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	var err error
	work.Go(func() { err = u.Run(own) })
	work.Go(func() { u.vouch(own, agent) })
	work.Go(func() { u.restart(own, agent) })
	failed := agent.Run(ctx)
	stop()
	work.Wait()
	return errors.Join(failed, err)
}

// vouch says that the program is well once the hub has answered it, and audio is
// as good as it has to be.
func (u *updates) vouch(ctx context.Context, agent *firmware.Agent) {
	select {
	case <-agent.Ready():
	case <-ctx.Done():
		return
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for u.NeedsAudio() && !u.sounds() {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
	u.Healthy()
}

// restart ends the run when another program is to be started, as soon as nothing
// sounds.
func (u *updates) restart(ctx context.Context, agent *firmware.Agent) {
	select {
	case <-u.Restart():
	case <-ctx.Done():
		return
	}
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	late := time.NewTimer(suits)
	defer late.Stop()
	for !agent.Idle() {
		select {
		case <-look.C:
		case <-late.C:
			u.log.Warn("restart for an update waits no longer for silence")
			agent.End(firmware.ErrUpdate)
			return
		case <-ctx.Done():
			return
		}
	}
	agent.End(firmware.ErrUpdate)
}

// checkUpdates tells what a device that takes updates runs.
func checkUpdates(cfg Config) []Finding {
	keys, err := cfg.Updates.keys()
	if err != nil || len(keys) == 0 {
		return nil
	}
	s, err := update.LookAtSlots(cfg.updatesDir())
	if err != nil {
		return []Finding{{Part: "updates", Text: err.Error()}}
	}
	text := "the installed program is used"
	if s.Current != update.Packaged {
		text = fmt.Sprintf("%s in slot %s is used", s.In(s.Current).Manifest().Version, s.Current)
	}
	if s.Trial != update.Packaged {
		text += fmt.Sprintf(", %s is on trial", s.In(s.Trial).Manifest().Version)
	}
	if s.Last.Result == update.Failed {
		text += fmt.Sprintf(", %s failed: %s", s.Last.Version, s.Last.Reason)
	}
	return []Finding{{Part: "updates", OK: true, Text: text}}
}
