package deviced

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/voice"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/fetch"
	"github.com/tacet-hub/tacet/firmware/leader"
	"github.com/tacet-hub/tacet/firmware/leader/host"
	"github.com/tacet-hub/tacet/firmware/leader/trunk"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// hosting is what the device leads its area with, when it does: its second
// connection to the hub, and what it runs for the others.
type hosting struct {
	link *trunk.Link
	host *host.Host
}

// newHosting opens what is kept of earlier reigns. u is how the device signs in at
// the hub; now is the wall clock.
func newHosting(cfg Config, u uplink.Config, clips *fetch.Cache, now func() time.Time, log *slog.Logger) (*hosting, error) {
	link, err := trunk.New(trunk.Config{Device: area.DeviceID(cfg.Device), Uplink: u}, log)
	if err != nil {
		return nil, err
	}
	clock := func() area.Instant { return area.Instant(firmware.Boottime{}.Now()) }
	small := smallHub{clips: clips, clock: clock, now: now, log: log}
	listen, web := cfg.Peers.listens()
	h, err := host.New(host.Config{Device: area.DeviceID(cfg.Device), Dir: filepath.Join(cfg.dataDir(), "leader"), Listen: listen, Web: web},
		host.Parts{Link: link, Renderer: lengths{}, Web: small.open, Clock: clock, Now: now, Log: log})
	if err != nil {
		return nil, err
	}
	return &hosting{link: link, host: h}, nil
}

// beside runs the link and what outlives a reign while run does, which leads.
func (h *hosting) beside(ctx context.Context, run func(context.Context) error) error {
	var work sync.WaitGroup
	defer work.Wait()
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	work.Go(func() { _ = h.link.Run(around) }) // both answer nil
	work.Go(func() { _ = h.host.Run(around) })
	return run(ctx)
}

func (h *hosting) close() error { return h.host.Close() }

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

// lengths knows how long an order will sound, as a hub without speech does: a clip
// is measured by who plays it.
type lengths struct{}

// unmeasured is how long a clip is taken to be.
const unmeasured = 10 * time.Second

// Duration is order.Renderer.
func (lengths) Duration(r area.OrderRequest) (time.Duration, error) {
	chime, err := media.ChimeLength(r.Chime)
	if err != nil {
		return 0, area.InvalidField("chime", "%.40q is none of %s", r.Chime, strings.Join(media.Chimes(), ", "))
	}
	var said time.Duration
	switch {
	case r.Clip != nil:
		said = unmeasured
	case r.Message != nil:
		said = voice.Estimate(*r.Message, r.Languages)
	}
	repeat := 1
	if r.Repeat != nil {
		repeat = *r.Repeat
	}
	return media.AnnounceLength(chime, said, repeat), nil
}
