package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/broker"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// Why a reign ends that nobody has ended here.
var (
	ErrNotMember  = errors.New("the hub does not know this device as a member of the area")
	ErrOtherLeads = errors.New("another leader of the area has a higher term")
	errLeads      = errors.New("leader: it leads already")
)

// reign is one time of office.
type reign struct {
	*Host
	leader.Reign
	area area.Name
	me   area.Member

	auth    *auth.Authority
	broker  *broker.Broker
	roster  *arbiter.Roster
	arbiter *arbiter.Service
	orders  *order.Service
	web     net.Listener // nil: none
	serve   func(context.Context) error
	addr    string // of the broker, as others reach it
	webAt   string // scheme and port of the web listener
	line    *line
	told    map[area.WorkID]stands // of the orders of this device, as the hub was told
}

// Lead arbitrates the area until ctx ends; see [leader.Host]. Its errors say what
// could not be started, or that nothing could be written for 3 s, or are [leader.ErrHubLeads], [ErrNotMember] and [ErrOtherLeads].
func (h *Host) Lead(ctx context.Context, r leader.Reign) error {
	if !h.leads.TryLock() {
		return errLeads
	}
	defer h.leads.Unlock()
	w := &reign{Host: h, Reign: r, area: r.Peers.Area, told: map[area.WorkID]stands{}}
	if err := w.open(); err != nil {
		w.shut()
		return err
	}
	h.count.reigns.Add(1)
	h.inside.Store(w)
	defer h.out.withdraw()
	defer h.inside.Store(nil)
	h.Log.Info("leads the area", "area", w.area, "device", h.cfg.Device, "node", w.addr, "n", r.Term)
	err := w.run(ctx)
	h.Log.Info("no longer leads the area", "area", w.area, "device", h.cfg.Device, "err", err)
	return err
}

// open makes every part, and listens.
func (w *reign) open() error {
	var ok bool
	if w.me, ok = w.Peers.Member(w.cfg.Device); !ok {
		return fmt.Errorf("leader: %s is no member of area %s", w.cfg.Device, w.area)
	}
	for _, step := range []func() error{w.openBroker, w.openWeb, w.openArea, w.openOrders, w.openInside} {
		if err := step(); err != nil {
			return err
		}
	}
	w.line = newLine(w)
	return nil
}

// shut gives back what open has opened.
func (w *reign) shut() {
	if w.broker != nil {
		ended, end := context.WithCancel(context.Background())
		end()
		_ = w.broker.Run(ended) // closes its listener
	}
	if w.web != nil {
		_ = w.web.Close()
	}
}

func (w *reign) openBroker() (err error) {
	if w.auth, err = auth.New(guests(w.Peers, w.Log), nil, w.Now, w.Log); err != nil {
		return err
	}
	for _, addr := range listens(w.cfg.Listen, w.lan()) {
		if w.broker, err = broker.New(limits(addr, w.auth), w.Log); err != nil {
			return err
		}
		if err = w.broker.Listen(); err == nil {
			w.addr = net.JoinHostPort(w.lan(), port(w.broker.Addr()))
			return nil
		}
	}
	return fmt.Errorf("leader: %w", err)
}

// listens is where to listen, in turn: as configured, and else at any free port.
// Without an address that is lan, and not every network of the machine: a hub that
// lets everybody in does so on its loopback alone, and its leaders likewise.
func listens(addr, lan string) []string {
	host, port, _ := net.SplitHostPort(addr) // Validate has
	if host == "" {
		host = lan
	}
	return []string{net.JoinHostPort(host, port), net.JoinHostPort(host, "0")}
}

// lan is the address under which the others reach this machine: that of its
// membership.
func (w *reign) lan() string {
	if w.At.IsValid() {
		return w.At.String()
	}
	if host, _, err := net.SplitHostPort(w.me.Addr); err == nil {
		return host
	}
	return "127.0.0.1"
}

func port(a net.Addr) string {
	_, p, _ := net.SplitHostPort(a.String()) // a listener's address is one
	return p
}

func (w *reign) openWeb() (err error) {
	if w.Web == nil {
		return nil
	}
	for _, addr := range listens(w.cfg.Web, w.lan()) {
		if w.web, err = net.Listen("tcp", addr); err == nil {
			w.webAt = "http://:" + port(w.web.Addr())
			return nil
		}
	}
	return fmt.Errorf("leader: web: %w", err)
}

func (w *reign) openArea() (err error) {
	w.roster, err = arbiter.NewRoster(arbiter.RosterConfig{Node: string(w.cfg.Device), Areas: []arbiter.AreaConfig{settings(w.Peers)}, MaxSeen: -1}, w.Now)
	if err != nil {
		return err
	}
	w.arbiter, err = arbiter.New(arbiter.Config{
		Node: string(w.cfg.Device), Index: w.me.Index, Floor: w.Term, Mode: area.LeaderLocal, Addr: w.addr, Web: w.webAt, Witness: w.Host,
		Voters: func(area.Name) ([]arbiter.Voter, bool) { return voters(w.Peers), true },
	}, w.broker, w.store.Ledger(), links{w.broker}, w.roster, w.Clock, w.Now, w.Log)
	return err
}

func (w *reign) openOrders() (err error) {
	w.own.led(w.Term > w.works.last())
	w.orders, err = order.New(order.Config{MaxLive: mostLive, MaxKeys: mostLive}, w.own, w.roster, w.arbiter, w.Renderer, w.Now, w.Log)
	return err
}

func (w *reign) openInside() (err error) {
	if w.Web == nil {
		return nil
	}
	w.serve, err = w.Web(w.web, Inside{Node: string(w.cfg.Device), Area: w.area, Broker: w.broker, Arbiter: w.arbiter, Roster: w.roster, Orders: w.orders, Auth: w.auth})
	return err
}

// run serves until ctx ends: the ways in end first, then who decides, then the
// broker.
func (w *reign) run(ctx context.Context) error {
	defer w.gate(ctx)()
	defer w.orders.Watch(w.ordered)()
	return during(ctx, func(ctx context.Context) error {
		return during(ctx, func(ctx context.Context) error {
			w.goOn()
			if w.serve == nil {
				return w.line.run(ctx)
			}
			return during(ctx, w.line.run, w.serve)
		}, func(ctx context.Context) error { return w.arbiter.Run(ctx, w) }, w.orders.Run)
	}, w.broker.Run)
}

// during runs parts while inner does, and ends them after it. A part that fails
// ends inner too.
func during(ctx context.Context, inner func(context.Context) error, parts ...func(context.Context) error) error {
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, around := errgroup.WithContext(around)
	for _, p := range parts {
		group.Go(func() error { return p(around) })
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(around, cancel)()
	err := inner(ctx)
	stop()
	return errors.Join(err, group.Wait())
}

// goOn hands the works of the hub in that are still ours.
func (w *reign) goOn() {
	for _, one := range w.works.mine(w.Term, w.area) {
		if err := w.arbiter.Hand(w.area, one.now(w.Now())); err != nil {
			w.Log.Error("work of the hub cannot be gone on with", "work", one.Work.Work, "err", err)
		}
	}
}

// Report takes the dispatcher's word on a work: of an order of this device to the
// order service, of a work of the hub to the hub.
func (w *reign) Report(r area.Report) {
	if w.ours(r.Work) {
		w.own.taken(r)
		w.orders.Report(r)
		return
	}
	if _, ok := w.works.get(r.Work); !ok {
		if r.State.Ended() {
			w.arbiter.Stored(r.Area, r.Work)
		}
		return
	}
	at := w.Now().Add(-r.Ago)
	if r.State.Ended() {
		w.works.end(r.Work, r.Reported(0), at)
	}
	w.oweWork(r, at)
}

// hubs tells whether a work is one of the hub's.
func (w *reign) hubs(id area.WorkID) bool {
	_, ok := w.works.get(id)
	return ok
}

// renew takes another roster document.
func (w *reign) renew(p area.Peers) {
	if p.Area != w.area {
		return // package leader ends the reign
	}
	w.Peers = p
	if err := w.roster.Configure([]arbiter.AreaConfig{settings(p)}); err != nil {
		w.Log.Warn("the area is not as the new roster has it", "area", w.area, "err", err)
	}
	if err := w.auth.Reload(guests(p, w.Log)); err != nil {
		w.Log.Warn("who may sign in stays as it was", "area", w.area, "err", err)
	}
	w.arbiter.Elect(w.area)
}

// links shows the arbiter the broker's connections.
type links struct{ b *broker.Broker }

func (l links) Disconnect(client, reason string) bool { return l.b.Disconnect(client, reason) }

func (l links) Connections(ended func(conn uint64, reason string)) (cancel func()) {
	reasons := map[string]string{broker.Goodbye: area.PresentGoodbye, broker.Lost: area.PresentWill, broker.TakenOver: area.PresentTakenOver}
	return l.b.Connections(func(e broker.ConnEvent) {
		if e.Up {
			return
		}
		reason, ok := reasons[e.Reason]
		if !ok {
			reason = area.PresentTimeout
		}
		ended(e.Conn, reason)
	})
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
