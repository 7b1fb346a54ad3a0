package deviced

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/leader"
	"github.com/tacet-hub/tacet/firmware/leader/office"
	"github.com/tacet-hub/tacet/firmware/leader/trunk"
	"github.com/tacet-hub/tacet/firmware/update"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Leader is what a device leads its area with; [leader.Host] is what package leader
// has of it. [office.Office] is one, and leaderd.New makes one for who has devices in
// the same program.
type Leader interface {
	leader.Host
	// Run does what outlives a reign, until ctx ends; it then returns nil.
	Run(ctx context.Context) error
	// Able tells why the device cannot lead; nil: it can. It does not block.
	Able() error
	// Gauge tells it in the device's health.
	Gauge(h *area.Health)
	// Counts are its counters, by name.
	Counts() map[string]uint64
	Close() error
}

// hosting is what the device leads its area with, when it does, and its second
// connection to the hub.
type hosting struct {
	link   *trunk.Link
	leader Leader
}

// newHosting makes it: in this process, where somebody wants it so, else by the
// program, which is to be of the same version. u is how the device signs in at the
// hub; now is the wall clock; changed is called when the leader is able, or no longer.
func newHosting(cfg Config, u uplink.Config, version string, now func() time.Time, changed func(), log *slog.Logger) (*hosting, error) {
	link, err := trunk.New(trunk.Config{Device: area.DeviceID(cfg.Device), Uplink: u}, log)
	if err != nil {
		return nil, err
	}
	h := &hosting{link: link}
	setup := cfg.leaderSetup(now(), log)
	if cfg.Lead != nil {
		h.leader, err = cfg.Lead(setup, link, now, log)
		return h, err
	}
	clock := func() area.Instant { return area.Instant(firmware.Boottime{}.Now()) }
	h.leader, err = office.New(office.Config{Setup: setup, Release: version, Find: cfg.leaderProgram}, link, clock, changed, log)
	return h, err
}

// leaderSetup is what the leader has to know.
func (c Config) leaderSetup(now time.Time, log *slog.Logger) office.Setup {
	listen, web := c.Peers.listens()
	s := office.Setup{Device: area.DeviceID(c.Device), Dir: filepath.Join(c.dataDir(), "leader"), Clips: c.clipsDir(), Listen: listen, Web: web, Clock: now, Level: slog.LevelError}
	for _, l := range []slog.Level{slog.LevelWarn, slog.LevelInfo, slog.LevelDebug} {
		if log.Enabled(context.Background(), l) {
			s.Level = l
		}
	}
	return s
}

// leaderProgram finds the program that leads: as configured, else the one that this
// program carries, as those do that came by an update, else beside it, else on the
// path.
func (c Config) leaderProgram() (string, error) {
	if c.Peers.LeaderProgram != "" {
		return c.Peers.LeaderProgram, nil
	}
	self, err := os.Executable()
	if err != nil {
		return office.Near("")
	}
	at, err := update.Unpack(self, filepath.Join(c.dataDir(), "leader"), office.Program)
	if errors.Is(err, update.ErrCarriesNone) {
		return office.Near(self)
	}
	return at, err
}

// beside runs the link and what outlives a reign while run does, which leads.
func (h *hosting) beside(ctx context.Context, run func(context.Context) error) error {
	var work sync.WaitGroup
	defer work.Wait()
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	linked, unlink := context.WithCancel(context.WithoutCancel(ctx))
	work.Go(func() { _ = h.link.Run(linked) }) // both answer nil
	work.Go(func() {
		defer unlink() // what it says last goes over the link
		_ = h.leader.Run(around)
	})
	return run(ctx)
}

func (h *hosting) close() error {
	if h.leader == nil {
		return nil
	}
	return h.leader.Close()
}

// checkLeader tells whether the device could lead its area.
func checkLeader(ctx context.Context, cfg Config, version string) []Finding {
	if cfg.Peers.off() || cfg.Lead != nil {
		return nil
	}
	path, err := office.Probe(ctx, version, cfg.leaderProgram)
	if err != nil {
		return []Finding{{Part: "leader", Text: err.Error() + ": this device follows and never leads its area"}}
	}
	return []Finding{{Part: "leader", OK: true, Text: path}}
}

// listens is where broker and web listener of a leader listen: as configured, else
// on the address of the membership, at their own ports where these are free.
func (p Peers) listens() (broker, web string) {
	at, with := "", "1883"
	if ip, _, err := leader.ParseBind(p.Bind); err == nil && ip.IsValid() {
		at = ip.String()
	}
	if broker = p.Listen; broker == "" {
		broker = net.JoinHostPort(at, with)
	}
	if web = p.Web; web == "" {
		web = net.JoinHostPort(at, "8080")
	}
	return broker, web
}
