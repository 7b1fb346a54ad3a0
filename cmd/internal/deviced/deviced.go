package deviced

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/fetch"
	"github.com/tacet-hub/tacet/firmware/leader/office"
	"github.com/tacet-hub/tacet/firmware/uplink"
	"github.com/tacet-hub/tacet/scheduler"
)

// Device is one device. Its methods are safe for concurrent use.
type Device struct {
	agent  *firmware.Agent
	memory *firmware.Memory
	clips  *fetch.Cache
	board  *sim.Board // nil: it is a real one
	pins   *board
	sound  loudspeaker
	senses *senses
	care   *care
	place  *place             // nil: none
	share  *sharing           // nil: none
	says   *scheduler.Service // announcements; nil: none
	update *updates
	fresh  bool // it was enrolled just now
	died   bool // Run has ended by a panic
	close  sync.Once
}

// New opens the device's memory, which counts a start, and builds its parts;
// version is that of the program, for the status. It fails if cfg is not valid,
// or if another process runs the device; what is wrong with its hardware it says in
// its status. It starts nothing; a Device that is not run must be closed.
func New(cfg Config, version string, log *slog.Logger) (*Device, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	memory, err := firmware.OpenMemory(cfg.dataDir())
	if err != nil {
		return nil, err
	}
	d := &Device{memory: memory, fresh: cfg.Fresh}
	if err := d.build(cfg, version, log); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// build makes the agent and its parts.
func (d *Device) build(cfg Config, version string, log *slog.Logger) (err error) {
	if d.care, err = cfg.care(d.memory); err != nil {
		return err
	}
	log = d.care.logTo(log, cfg)
	d.care.tell(log)
	if d.care.start.Safe { // nothing sounds, and what could crash is not touched
		cfg.Audio = Audio{Output: OutputNull, Volume: cfg.Audio.Volume}
	}
	if d.sound, err = cfg.loudspeaker(log, func() { d.agent.Look() }); err != nil {
		return err
	}
	render, err := newRenderer()
	if err != nil {
		return err
	}
	u, err := cfg.uplink(cfg.Device)
	if err != nil {
		return err
	}
	d.care.ring.Hide(u.Password)
	u.TLS.Time = d.care.calendar.Now
	up, err := uplink.New(u, log)
	if err != nil {
		return err
	}
	if cfg.Sim {
		d.board = &sim.Board{}
	}
	if d.share, err = cfg.newSharing(log); err != nil {
		return err
	}
	if d.clips, err = cfg.fetcher(u, d.share.clips(), d.through, log); err != nil {
		return err
	}
	if d.pins, err = d.newBoard(cfg, log); err != nil {
		return err
	}
	if d.update, err = d.newUpdates(cfg, u, version, log); err != nil {
		return err
	}
	if d.place, err = d.newPlace(cfg, u, up, version, log); err != nil {
		return err
	}
	if err := d.share.give(cfg, d.clips, d.place.asSeat()); err != nil {
		return err
	}
	if d.says, err = newAnnouncer(cfg, announcer{up: up, alone: d.place.announces, clock: d.care.calendar.State, log: log}, d.care.calendar.Now); err != nil {
		return err
	}
	id, _ := cfg.areaID() // Validate has seen it
	d.agent, err = firmware.New(firmware.Config{
		Device: area.DeviceID(cfg.Device), Area: id, AreaText: cfg.Area, Location: cfg.Location, Name: cfg.Name,
		AmpLead: cfg.GPIO.lead(), AmpHold: time.Duration(cfg.GPIO.AmpHold), Noise: cfg.Audio.FollowNoise.curve(),
		Volume: cfg.Audio.Volume, Rate: media.Rate, Audio: d.sound.name, Version: version, Web: cfg.Web,
		Start: d.care.start, FeedEvery: d.care.every(),
	}, firmware.Parts{Uplink: up, Player: d.sound.Player, Beacon: d.pins, Clock: firmware.Boottime{},
		Renderer: render, Clips: d.clips, Memory: d.memory, Log: log, Network: cfg.network(),
		Calendar: d.care.calendar, Watchdog: d.care, Ring: d.care.ring,
		Gauges:   []func(*area.Health){d.care.says(d.Hub), d.care.gauge, cfg.gaugeFault, d.sound.gauge, d.pins.gauge, d.gaugeSenses, d.update.gauge, d.place.gauge},
		Commands: d.commands(cfg), Update: d.update.state, Peer: d.place.peer, Alone: d.place.alone, Home: func() string { return home(cfg, up, d.place.roster) }})
	if err != nil {
		return err
	}
	cfg.alert(d.agent)
	d.pins.hear(d.agent, !d.care.start.Safe)
	d.senses, err = newSenses(cfg, d.care.start.Safe, d.agent, log)
	return err
}

// commands are what operators may ask for beside what the agent knows. The
// machine of a simulated device is not its own.
func (d *Device) commands(cfg Config) map[string]func([]byte) error {
	more := map[string]func([]byte) error{"update": d.update.order}
	if !cfg.Sim {
		more["reboot"] = func([]byte) error { d.agent.End(firmware.ErrReboot); return nil }
	}
	return more
}

// Ready is closed when the hub has answered for the first time.
func (d *Device) Ready() <-chan struct{} { return d.agent.Ready() }

// Hub is the address of the hub that the device is connected to; empty where it
// is not.
func (d *Device) Hub() string { return d.agent.Hub() }

// Leads is how the leader's program is; zero where another leads in this process, or
// the device has no place among its neighbours.
func (d *Device) Leads() office.Stats {
	if d.place == nil {
		return office.Stats{}
	}
	o, ok := d.place.leader.(*office.Office)
	if !ok {
		return office.Stats{}
	}
	return o.Stats()
}

// Board is the simulated relay, lamp and button; nil where they are real.
func (d *Device) Board() *sim.Board { return d.board }

// Stats is what the agent has counted.
func (d *Device) Stats() firmware.Stats { return d.agent.Stats() }

// Run is the device until ctx ends; then it stops sounding, says goodbye to the
// hub, closes itself and returns nil, within 3 s. It fails where the loudspeaker
// cannot be opened, with firmware.ErrPanic, with firmware.ErrRestart or ErrReboot
// where an operator asked for that, and with firmware.ErrUpdate where it is to
// start with another version. It can be called once.
func (d *Device) Run(ctx context.Context) error {
	defer d.Close()
	_ = d.care.systemd.Ready()                       // who does not listen kills the program, or starts it anyway
	defer func() { _ = d.care.systemd.Stopping() }() // it sees the end itself
	if d.fresh {
		d.agent.Once(func() { d.agent.Event("enrolled", true, "") })
	}
	err := d.pins.around(ctx, func(ctx context.Context) error {
		return d.sound.beside(ctx, func(ctx context.Context) error {
			return d.senses.beside(ctx, func(ctx context.Context) error {
				return d.place.beside(ctx, func(ctx context.Context) error {
					return besideAnnouncer(ctx, d.says, func(ctx context.Context) error {
						return d.share.beside(ctx, func(ctx context.Context) error { return d.update.beside(ctx, d.agent) })
					})
				})
			})
		})
	})
	d.died = errors.Is(err, firmware.ErrPanic)
	return err
}

// Close gives the memory back, and stops the watchdog. It must not be called
// while Run does.
func (d *Device) Close() {
	d.close.Do(func() {
		if d.clips != nil {
			d.clips.Close()
		}
		d.share.close()
		if d.care != nil {
			_ = d.care.close(!d.died) // there is nobody left to tell
		}
		_ = d.place.close()  // same as the memory
		_ = d.memory.Close() // everything in it was synced when it was written
		if d.pins != nil {
			_ = d.pins.Close() // nothing is on that the agent has not switched off
		}
	})
}
