package leader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/tacet-hub/tacet/broker/area"
)

// gossip is the membership of an area on the network: who is alive, and what they
// tell of themselves. It is encrypted with the key of the area. Its methods are
// safe for concurrent use.
type gossip struct {
	self area.DeviceID
	list *memberlist.Memberlist
	ring *memberlist.Keyring
	work sync.WaitGroup
	end  context.CancelFunc

	own     atomic.Pointer[[]byte] // the meta of this member
	leads   atomic.Bool            // by what it says
	dirty   chan struct{}          // it has changed
	changed func()                 // somebody has come, gone, or told something else; only enqueues
	heard   func([]byte)           // a message of another member; only enqueues
	count   *counters

	mu    sync.Mutex
	nodes map[string]memberlist.Node // alive, as they told last: the library's own change while they are read
}

// held keeps the port of a membership that is not taken part in yet, so that it
// can be told to others.
type held struct {
	tcp net.Listener
	udp net.PacketConn
}

// hold listens at an address, at any free port where the one asked for is taken.
func hold(ip netip.Addr, port uint16) (*held, netip.AddrPort, error) {
	var err error
	for _, p := range []uint16{port, 0, 0, 0} { // a port that is free for TCP may be taken for UDP
		var h held
		if h.tcp, err = net.Listen("tcp", netip.AddrPortFrom(ip, p).String()); err != nil {
			continue
		}
		at := netip.MustParseAddrPort(h.tcp.Addr().String())
		if h.udp, err = net.ListenPacket("udp", at.String()); err == nil {
			return &h, at, nil
		}
		_ = h.tcp.Close() // it was not used
	}
	return nil, netip.AddrPort{}, fmt.Errorf("membership at %v: %w", ip, err)
}

// release gives the port up; nil holds none.
func (h *held) release() {
	if h != nil {
		_, _ = h.tcp.Close(), h.udp.Close() // they were not used
	}
}

// network is what a seat has of the machine's network for itself: in a bubble of a
// test, where sockets would stop the time, there is another.
type network struct {
	hold func(ip netip.Addr, port uint16) (*held, netip.AddrPort, error)
	join func(at netip.AddrPort, logger *log.Logger) (memberlist.Transport, error)
	dial func(ctx context.Context, hosts []string) (netip.Addr, bool)
}

// sockets is that of the machine.
func sockets() network { return network{hold: hold, join: listen, dial: dialAny} }

// listen listens for a membership.
func listen(at netip.AddrPort, logger *log.Logger) (memberlist.Transport, error) {
	t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{at.Addr().String()}, BindPort: int(at.Port()), Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("membership at %v: %w", at, err)
	}
	return t, nil
}

// newGossip takes part in the membership of an area, at an address that nobody
// else listens at. Nobody is called yet. changed is called when somebody has come,
// gone, or told something else, heard with what a member has sent; both must only
// enqueue.
func newGossip(self area.DeviceID, p area.Peers, m meta, n network, at netip.AddrPort, logger *log.Logger, count *counters, changed func(), heard func([]byte)) (*gossip, error) {
	g := &gossip{self: self, dirty: make(chan struct{}, 1), changed: changed, heard: heard, count: count, nodes: map[string]memberlist.Node{}}
	first := m.encode()
	g.own.Store(&first)
	var err error
	if g.ring, err = memberlist.NewKeyring(nil, p.Key); err != nil {
		return nil, fmt.Errorf("key of area %s: %w", p.Area, err)
	}
	t, err := n.join(at, logger)
	if err != nil {
		return nil, err
	}
	if g.list, err = memberlist.Create(g.config(p, t, at, logger)); err != nil {
		return nil, errors.Join(fmt.Errorf("membership of area %s: %w", p.Area, err), t.Shutdown())
	}
	ctx, end := context.WithCancel(context.Background())
	g.end = end
	g.work.Go(func() { g.tell(ctx) })
	return g, nil
}

// config is the library's, tuned as it was measured (COORDINATION.md §4).
func (g *gossip) config(p area.Peers, t memberlist.Transport, at netip.AddrPort, logger *log.Logger) *memberlist.Config {
	c := memberlist.DefaultLANConfig()
	c.Name, c.Label = string(g.self), "tacet/"+string(p.Area)
	c.Transport, c.Keyring, c.Logger = t, g.ring, logger
	c.AdvertiseAddr, c.AdvertisePort, c.BindPort = at.Addr().String(), int(at.Port()), int(at.Port())
	c.ProbeInterval, c.ProbeTimeout, c.SuspicionMult, c.SuspicionMaxTimeoutMult = probeEvery, probeTimeout, suspicion(len(p.Members)), 1
	c.GossipInterval = gossipEvery
	c.TCPTimeout, c.PushPullInterval = streamTime, syncEvery
	c.DeadNodeReclaimTime = time.Millisecond // a member may come back at another address
	c.Delegate, c.Events, c.Conflict = delegate{g}, events{g}, events{g}
	return c
}

// suspicion is for how many probes a member of so many is suspected before it is
// missed; the library takes them times the decimal logarithm of the number of
// members: it has 1.5 to 2 s to object. A suspicion that nobody shares takes no
// longer than others, and members are probed often: of eight that had 3 s more, and
// were probed twice a second, one in 30 was on the next leader after more than the
// 5 s that are promised (COORDINATION.md §8.21).
func suspicion(members int) int {
	if members > 20 {
		return 3
	}
	return 5
}

// close says goodbye and ends everything.
func (g *gossip) close() {
	g.end()
	g.work.Wait()
	_ = g.list.Leave(500 * time.Millisecond) // who does not hear it, finds out
	_ = g.list.Shutdown()                    // it only says what is logged already
}

// set changes what this member tells of itself.
func (g *gossip) set(m meta) {
	b := m.encode()
	if bytes.Equal(b, *g.own.Load()) {
		return
	}
	g.own.Store(&b)
	g.leads.Store(m.Term != 0)
	select {
	case g.dirty <- struct{}{}:
	default:
	}
}

// tell has the others told what has changed, until ctx ends: and told again, since
// a member may be cut off just then for less than it takes to be missed. It would
// hear of it by a sync alone, and of a second leader as late.
func (g *gossip) tell(ctx context.Context) {
	again := time.NewTicker(tellAgain)
	defer again.Stop()
	var changed time.Time
	for {
		select {
		case <-g.dirty:
			changed = time.Now()
		case now := <-again.C:
			if !g.leads.Load() && now.Sub(changed) > tellFor {
				continue
			}
		case <-ctx.Done():
			return
		}
		_ = g.list.UpdateNode(time.Second) // who is not reached now is told again
	}
}

// peers are the other members of a roster that are alive, by their names.
func (g *gossip) peers(p area.Peers) []peer {
	var list []peer
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(g.nodes)) {
		n, d := g.nodes[name], area.DeviceID(name)
		if d == g.self {
			continue
		}
		listed, ok := p.Member(d)
		m, err := parseMeta(n.Meta)
		ip, valid := netip.AddrFromSlice(n.Addr)
		if !ok || err != nil || m.Index != listed.Index || !valid {
			g.count.strangers.Add(1)
			continue
		}
		list = append(list, peer{device: d, at: netip.AddrPortFrom(ip.Unmap(), n.Port), meta: m})
	}
	return list
}

// call says hello to members at addresses, several at a time. It blocks for some
// seconds at most; an error is no more than that one is not there.
func (g *gossip) call(ctx context.Context, at map[area.DeviceID][]string) {
	var todo []string
	for d, addrs := range at {
		for _, a := range addrs {
			todo = append(todo, string(d)+"/"+a)
		}
	}
	rand.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	var calls sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, a := range todo {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			calls.Wait()
			return
		}
		calls.Go(func() {
			defer func() { <-slots }()
			g.count.calls.Add(1)
			if _, err := g.list.Join([]string{a}); err != nil {
				g.count.callsFailed.Add(1)
			}
		})
	}
	calls.Wait()
}

// send gives a message to one member; it blocks for streamTime at most.
func (g *gossip) send(to area.DeviceID, b []byte) error {
	g.mu.Lock()
	n, ok := g.nodes[string(to)]
	g.mu.Unlock()
	if !ok {
		return fmt.Errorf("member %s is not there", to)
	}
	return g.list.SendReliable(&n, b)
}

// came keeps what a member tells. The library holds a lock while it calls.
func (g *gossip) came(n *memberlist.Node) {
	g.mu.Lock()
	g.nodes[n.Name] = memberlist.Node{Name: n.Name, Addr: slices.Clone(n.Addr), Port: n.Port, Meta: bytes.Clone(n.Meta)}
	g.mu.Unlock()
	g.changed()
}

// went forgets it.
func (g *gossip) went(n *memberlist.Node) {
	g.mu.Lock()
	delete(g.nodes, n.Name)
	g.mu.Unlock()
	g.changed()
}

// addKey has what is said by another key be heard too.
func (g *gossip) addKey(key []byte) error { return g.ring.AddKey(key) }

// useKey speaks by another key.
func (g *gossip) useKey(key []byte) error { return g.ring.UseKey(key) }

// dropKey no longer hears what is said by an old key.
func (g *gossip) dropKey(key []byte) error { return g.ring.RemoveKey(key) }

// delegate is what the library asks.
type delegate struct{ g *gossip }

func (d delegate) NodeMeta(int) []byte           { return *d.g.own.Load() }
func (d delegate) NotifyMsg(b []byte)            { d.g.heard(bytes.Clone(b)) }
func (delegate) GetBroadcasts(_, _ int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// events is what it tells.
type events struct{ g *gossip }

func (e events) NotifyJoin(n *memberlist.Node)        { e.g.came(n) }
func (e events) NotifyUpdate(n *memberlist.Node)      { e.g.came(n) }
func (e events) NotifyLeave(n *memberlist.Node)       { e.g.went(n) }
func (e events) NotifyConflict(_, _ *memberlist.Node) { e.g.count.conflicts.Add(1) }

// hubAddr is the address from which a hub is reached; of several hubs the first
// that has one. Nothing is sent.
func hubAddr(hosts []string) (netip.Addr, bool) {
	for _, h := range hosts {
		c, err := net.Dial("udp", h)
		if err != nil {
			continue
		}
		at, err := netip.ParseAddrPort(c.LocalAddr().String())
		_ = c.Close() // nothing was sent
		if err == nil {
			return at.Addr().Unmap().WithZone(""), true
		}
	}
	return netip.Addr{}, false
}

// netOf is the network of an address of this machine.
func netOf(ip netip.Addr) string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		got, _ := netip.AddrFromSlice(n.IP)
		if ones, _ := n.Mask.Size(); got.Unmap() == ip {
			if prefix, err := ip.Prefix(ones); err == nil {
				return prefix.String()
			}
		}
	}
	return ""
}

// anyAddr is an address of this machine by which others reach it, for as long as
// the one to the hub is not known; loopback where there is none.
func anyAddr() netip.Addr {
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && n.IP.To4() != nil {
			got, _ := netip.AddrFromSlice(n.IP)
			return got.Unmap()
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// here tells whether an address is still one of this machine.
func here(ip netip.Addr) bool {
	l, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), strconv.Itoa(0)))
	if err != nil {
		return false
	}
	_ = l.Close() // nothing was sent
	return true
}
