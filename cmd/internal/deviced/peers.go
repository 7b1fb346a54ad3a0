package deviced

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/leader"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Peers is what the device is to the others of its area, with whom it goes on when
// the hub cannot be reached.
type Peers struct {
	Mode     string `yaml:"mode"`     // one of the Peers modes; empty: auto
	KeyFile  string `yaml:"key_file"` // where the key of the area, which the hub sends, is kept; empty: below data
	Bind     string `yaml:"bind"`     // where the members hear each other: an address, :port or address:port; empty: port 7946 on the address that reaches the hub
	Priority int    `yaml:"priority"` // -100 to 100; lower ones lead first
	Listen   string `yaml:"listen"`   // of the broker, while it leads: host:port; empty: port 1883 where bind is
	Web      string `yaml:"web"`      // of the device hub, while it leads; empty: port 8080 where bind is

	LeaderProgram string `yaml:"leader_program"` // path of tacet-leader, by which it leads; empty: that beside tacet-device, else on the path
}

// The values of [Peers.Mode].
const (
	PeersAuto = "auto" // it is a member of its area, and may lead it
	PeersOff  = "off"  // it turns to the hub, and to nobody else
)

const mostPriority = 100

// faults is what is wrong, by key.
func (p Peers) faults() map[string]string {
	wrong := map[string]string{}
	if p.Mode != "" && p.Mode != PeersAuto && p.Mode != PeersOff {
		wrong["peers.mode"] = fmt.Sprintf("%q is neither %s nor %s", p.Mode, PeersAuto, PeersOff)
	}
	if _, _, err := leader.ParseBind(p.Bind); err != nil {
		wrong["peers.bind"] = err.Error()
	}
	if p.Priority < -mostPriority || p.Priority > mostPriority {
		wrong["peers.priority"] = fmt.Sprintf("%d is not -%d to %d", p.Priority, mostPriority, mostPriority)
	}
	for key, addr := range map[string]string{"peers.listen": p.Listen, "peers.web": p.Web} {
		if _, _, err := net.SplitHostPort(addr); addr != "" && err != nil {
			wrong[key] = fmt.Sprintf("%q is no host:port", addr)
		}
	}
	return wrong
}

func (p Peers) off() bool { return p.Mode == PeersOff }

// seatDir is where a member keeps what it knows of its area.
func (c Config) seatDir() string { return filepath.Join(c.dataDir(), "peers") }

// place is the device among the members of its area. A nil place is none.
type place struct {
	*hosting
	seat *leader.Seat
}

// newPlace makes it; nil where it is switched off, and in safe mode. u is how the
// device signs in at the hub, up its connection.
func (d *Device) newPlace(cfg Config, u uplink.Config, up *uplink.Client, version string, log *slog.Logger) (*place, error) {
	if cfg.Peers.off() || d.care.start.Safe {
		return nil, nil
	}
	p := &place{}
	h, err := newHosting(cfg, u, version, d.care.calendar.Now, func() { p.seat.Look(); d.agent.Look() }, log) // not before both are there: it runs after them
	if err != nil {
		return nil, err
	}
	p.hosting = h
	p.seat, err = leader.New(leader.Config{
		Device: area.DeviceID(cfg.Device), MID: d.memory.MID(), Priority: cfg.Peers.Priority,
		Dir: cfg.seatDir(), KeyFile: cfg.Peers.KeyFile, Bind: cfg.Peers.Bind,
	}, leader.Parts{Uplink: up, Link: h.link, Host: h.leader, Clock: firmware.Boottime{}, Log: log, Able: h.leader.Able, Web: func() string { return d.agent.Web() }, Changed: func() {
		st := p.seat.State()
		d.agent.HeardTerm(st.Area, st.Highest)
		d.agent.Look()
		d.share.look()
	}})
	if err != nil {
		return nil, errors.Join(err, h.close())
	}
	return p, nil
}

// beside keeps the place while run does; the end of run is the first to come, so
// that a device that leads says goodbye to itself too.
func (p *place) beside(ctx context.Context, run func(context.Context) error) error {
	if p == nil {
		return run(ctx)
	}
	return p.hosting.beside(ctx, func(ctx context.Context) error {
		around, stop := context.WithCancel(context.WithoutCancel(ctx))
		var work sync.WaitGroup
		failed := make(chan error, 1)
		work.Go(func() { failed <- p.seat.Run(around) })
		err := run(ctx)
		stop()
		work.Wait()
		return errors.Join(err, <-failed)
	})
}

func (p *place) close() error {
	if p == nil {
		return nil
	}
	return p.hosting.close()
}

// asSeat is what sharing needs of it; nil: it is none.
func (p *place) asSeat() seat {
	if p == nil {
		return nil
	}
	return p.seat
}

// roster is the members of the area; false: none is known, or the device is none.
func (p *place) roster() (area.Peers, bool) {
	if p == nil {
		return area.Peers{}, false
	}
	return p.seat.Roster()
}

// peer is what the status says of it.
func (p *place) peer() *area.Peer {
	if p == nil {
		return nil
	}
	return p.seat.Peer()
}

func (p *place) gauge(h *area.Health) {
	if p == nil {
		return
	}
	p.seat.Gauge(h)
	p.leader.Gauge(h)
	if h.Peers != nil {
		h.Counts = map[string]uint64{}
		count(h.Counts, "member", p.seat.Stats())
		for name, n := range p.leader.Counts() {
			if n > 0 {
				h.Counts["leader_"+name] = n
			}
		}
	}
}

func (p *place) alone() bool { return p != nil && p.seat.Alone() }

// announces is the area in which the device announces by its own schedule; false
// where it does not, since the hub does.
func (p *place) announces() (in area.Name, is bool) {
	if !p.alone() {
		return "", false
	}
	r, member := p.seat.Roster()
	return r.Area, member
}

// checkPeers tells what the device keeps of its area.
func checkPeers(cfg Config) Finding {
	f := Finding{Part: "peers", OK: true}
	if cfg.Peers.off() {
		f.Text = "off: without its hub the device is silent"
		return f
	}
	if err := leader.Writable(cfg.seatDir(), cfg.Peers.KeyFile); err != nil {
		f.OK, f.Text = false, err.Error()
		return f
	}
	p, term, known, err := leader.Kept(cfg.seatDir(), cfg.Peers.KeyFile)
	m, listed := p.Member(area.DeviceID(cfg.Device))
	switch {
	case err != nil && !errors.Is(err, os.ErrPermission):
		f.OK, f.Text = false, err.Error()+"; the hub sends it anew"
	case err != nil:
		f.OK, f.Text = false, err.Error()
	case !known:
		f.Text = "no roster yet: the hub sends it, and until then the device is silent without it"
	case !listed:
		f.Text = fmt.Sprintf("no member of area %s", p.Area)
	default:
		f.Text = fmt.Sprintf("member %d of %d of area %s, %s, %s; highest term %d", m.Index, len(p.Members), p.Area, p.Topology, p.Mode, term)
	}
	return f
}
