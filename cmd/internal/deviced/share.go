package deviced

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/fetch"
	"github.com/tacet-hub/tacet/firmware/share"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

const (
	sharePort  = 7947             // where clips are given to neighbours, where it is free
	shareAgain = 10 * time.Second // after a listener that could not be had
)

// seat is what sharing needs of the device's place among the members of its area.
type seat interface {
	Roster() (area.Peers, bool)
	Peer() *area.Peer
	Gives(addr string)
}

// sharing is what a device has to do with its neighbours' clips: it asks for
// theirs, and gives its own at the address at which they hear it.
type sharing struct {
	near   *share.Client
	server *share.Server
	listen string // as configured
	seat   seat   // nil: it is no member, and shares nothing; set before anything runs
	news   chan struct{}
	log    *slog.Logger
}

// newSharing makes it; nil where it is switched off.
func (c Config) newSharing(log *slog.Logger) (*sharing, error) {
	if !c.Clips.Share || c.Peers.off() {
		return nil, nil
	}
	s := &sharing{listen: c.Clips.Listen, news: make(chan struct{}, 1), log: log}
	var err error
	s.near, err = share.NewClient(s.config(c))
	return s, err
}

func (s *sharing) config(c Config) share.Config {
	return share.Config{Device: area.DeviceID(c.Device), Roster: s.roster, Log: s.log}
}

// clips are the neighbours, for the cache.
func (s *sharing) clips() fetch.Near {
	if s == nil {
		return nil // no interface with nothing in it
	}
	return s.near
}

// give has what the cache has be given.
func (s *sharing) give(c Config, shelf share.Shelf, at seat) (err error) {
	if s == nil || at == nil {
		return nil
	}
	s.seat = at
	s.server, err = share.NewServer(s.config(c), shelf)
	return err
}

func (s *sharing) roster() (area.Peers, bool) {
	if s.seat == nil {
		return area.Peers{}, false
	}
	return s.seat.Roster()
}

// look says that the place may be another.
func (s *sharing) look() {
	if s == nil {
		return
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// beside gives clips while run does.
func (s *sharing) beside(ctx context.Context, run func(context.Context) error) error {
	if s == nil || s.seat == nil {
		return run(ctx)
	}
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { s.run(around) })
	defer work.Wait()
	defer stop()
	return run(ctx)
}

// run listens where the neighbours reach the device, as long as that is known, and
// elsewhere once it is elsewhere.
func (s *sharing) run(ctx context.Context) {
	var at netip.Addr
	stop := func() {}
	defer func() { stop() }()
	for {
		again := time.Duration(0)
		if ip := s.address(); ip != at {
			stop()
			var err error
			if stop, err = s.open(ctx, ip); err != nil {
				s.log.Warn("clips are not given to neighbours", "err", err, "dur", shareAgain)
				ip, again = netip.Addr{}, shareAgain
			}
			at = ip
		}
		if pauseFor(ctx, s.news, again) != nil {
			return
		}
	}
}

// pauseFor waits for news, or for a time that is not 0.
func pauseFor(ctx context.Context, news <-chan struct{}, d time.Duration) error {
	var over <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	select {
	case <-news:
	case <-over:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// address is where the membership listens; not valid: that is not known.
func (s *sharing) address() netip.Addr {
	p := s.seat.Peer()
	if p == nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(p.Addr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr()
}

// open begins to give clips at an address; one that is not valid is none. stop
// ends it and waits for that.
func (s *sharing) open(ctx context.Context, ip netip.Addr) (stop func(), err error) {
	stop = func() {}
	if !ip.IsValid() {
		return stop, nil
	}
	l, err := s.listener(ip)
	if err != nil {
		return stop, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	work.Go(func() {
		if err := s.server.Run(ctx, l); err != nil {
			s.log.Error("clips are given to neighbours no more", "err", err)
		}
	})
	s.seat.Gives(l.Addr().String())
	s.log.Info("clips are given to neighbours", "node", l.Addr().String())
	return func() { s.seat.Gives(""); cancel(); work.Wait() }, nil
}

// listener listens as configured, else at the usual port, or any.
func (s *sharing) listener(ip netip.Addr) (net.Listener, error) {
	if s.listen != "" {
		host, port, _ := net.SplitHostPort(s.listen) // checked
		if host == "" {
			host = ip.String()
		}
		return net.Listen("tcp", net.JoinHostPort(host, port))
	}
	l, err := net.Listen("tcp", net.JoinHostPort(ip.String(), strconv.Itoa(sharePort)))
	if err != nil {
		var other error
		if l, other = net.Listen("tcp", net.JoinHostPort(ip.String(), "0")); other != nil {
			return nil, errors.Join(err, other)
		}
	}
	return l, nil
}

func (s *sharing) close() {
	if s != nil {
		s.near.Close()
	}
}

// checkListen tells what is wrong with where clips are given; empty: nothing.
func (c Clips) checkListen() string {
	if c.Listen == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(c.Listen)
	n, bad := strconv.Atoi(port)
	if err != nil || bad != nil || n < 0 || n > 65535 {
		return "it is no :port or address:port"
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil {
		return "its address is none"
	}
	return ""
}

// home is where the web listener of the hub is while the device is connected to
// somebody else, as the roster says.
func home(c Config, up *uplink.Client, roster func() (area.Peers, bool)) string {
	at, ok := up.At()
	if !ok || at.Same(up.Home()) {
		return ""
	}
	p, ok := roster()
	if !ok || len(c.Hub) == 0 {
		return ""
	}
	return firmware.WebOf(c.Web, c.Hub[0], p.Web)
}
