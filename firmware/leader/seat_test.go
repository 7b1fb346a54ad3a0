package leader

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// site is an area of real members on loopback: their sockets, their memberships and
// their relays are real. The hub is a listener, and the brokers of leaders are
// names.
type site struct {
	t     *testing.T
	hub   string
	web   string // of its web listener
	mu    sync.Mutex
	l     net.Listener // nil: the hub is away
	ether *ether       // of a site in a bubble; there the hub is no listener
	there bool         // then: the hub is
	began time.Time
	live  *area.Trunk // what it answers who asks; nil: nobody leads
	peers area.Peers
	seats map[area.DeviceID]*stand
	moved chan struct{}
	blind bool // the roster has no addresses
}

// stand is one device of a site.
type stand struct {
	*Seat
	id     area.DeviceID
	index  uint64
	site   *site
	cfg    Config
	stop   context.CancelFunc
	done   chan struct{}
	mu     sync.Mutex
	target uplink.Target
	watch  func(bool, uint64, string)
	docs   func(area.Message)
	link   func(area.Trunk)
	reign  *Reign
	unable bool // its host cannot lead
	cut    bool // its uplink is
	out    bool // its credential was taken back
}

func newSite(t *testing.T, topology string, names ...area.DeviceID) *site {
	t.Helper()
	s := &site{t: t, seats: map[area.DeviceID]*stand{}, moved: make(chan struct{}, 1), began: time.Now()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.hub = "mqtt://" + l.Addr().String()
	s.setHub(l)
	t.Cleanup(func() { s.setHub(nil) })
	s.people(topology, names...)
	return s
}

// people makes the devices, and their roster.
func (s *site) people(topology string, names ...area.DeviceID) {
	t := s.t
	t.Helper()
	s.peers = area.Peers{Rev: 1, Area: "north", Hub: "hub-1", Topology: topology, Mode: area.ModeAvailable, Policy: area.PolicyStop, LeaseMs: 6000, Key: make([]byte, area.AreaKeySize)}
	_, _ = rand.Read(s.peers.Key) // it never fails: a port that one site gives up may be another's next, which is no member here
	for i, n := range names {
		d := &stand{id: n, index: area.FirstMember + uint64(i), site: s}
		d.cfg = Config{Device: n, MID: "m-" + string(n), Dir: t.TempDir(), Bind: "127.0.0.1", Quiet: true}
		s.seats[n] = d
		s.peers.Members = append(s.peers.Members, area.Member{Device: n, MID: d.cfg.MID, Index: d.index})
	}
}

// setHub has the hub be there, or not.
func (s *site) setHub(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.l != nil {
		_ = s.l.Close()
	}
	s.l = l
	if l == nil {
		return
	}
	go func() { // ends with l
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
}

func (s *site) hubBack() {
	s.t.Helper()
	l, err := net.Listen("tcp", strings.TrimPrefix(s.hub, "mqtt://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.setHub(l)
	s.nudge()
}

// hubGone takes the hub away.
func (s *site) hubGone() {
	s.setHub(nil)
	s.nudge()
}

func (s *site) nudge() {
	for _, d := range s.seats {
		d.nudge()
	}
}

func (s *site) hubUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.l != nil || s.there
}

// start has devices begin, and gives them the roster once all of them listen.
func (s *site) start(names ...area.DeviceID) {
	s.t.Helper()
	for _, n := range names {
		s.seats[n].start()
	}
	s.until("all listen", func() bool {
		for _, n := range names {
			if s.seats[n].Peer() == nil {
				return false
			}
		}
		return true
	})
	s.tell(names...)
}

// tell gives the roster as it is now to devices, as the hub does.
func (s *site) tell(names ...area.DeviceID) {
	s.t.Helper()
	s.mu.Lock()
	s.peers.Rev++
	for i, m := range s.peers.Members {
		if d := s.seats[m.Device]; d.Seat != nil {
			if p := d.Peer(); p != nil && !s.blind {
				s.peers.Members[i].Addr = p.Addr
			}
		}
	}
	text := s.peers.Encode()
	s.mu.Unlock()
	for _, n := range names {
		s.seats[n].docs(area.Message{Topic: area.PeersTopic(n), Payload: text})
	}
}

// until waits for something that a change of a member brings about.
func (s *site) until(what string, ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(time.Minute); !ok(); {
		select {
		case <-s.moved:
		case <-tick.C:
		case <-end:
			for n, d := range s.seats {
				if d.Seat != nil {
					s.t.Logf("%s: %+v", n, d.State())
				}
			}
			s.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// follow tells whether all of them turn to one.
func (s *site) follow(to string, who area.DeviceID, names ...area.DeviceID) func() bool {
	return func() bool {
		for _, n := range names {
			if st := s.seats[n].State(); st.Follows != to || st.Who != who {
				return false
			}
		}
		return true
	}
}

func (d *stand) start() {
	d.site.t.Helper()
	seat, err := New(d.cfg, Parts{Uplink: d, Link: link{d}, Host: d, Clock: clock{d.site.began}, Web: func() string { return d.site.web }, Log: slog.New(slog.DiscardHandler), Changed: func() {
		select {
		case d.site.moved <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		d.site.t.Fatal(err)
	}
	if d.cut { // its dials fail
		seat.hosts = []string{"127.0.0.1:1"}
	}
	if d.site.ether != nil {
		seat.net = d.site.ether.network(d.reaches)
	}
	d.Seat, d.target, d.done = seat, d.Home(), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	var once sync.Once
	d.stop = func() { once.Do(func() { cancel(); <-d.done }) }
	go func() {
		defer close(d.done)
		if err := seat.Run(ctx); err != nil {
			d.site.t.Errorf("%s: Run: %v", d.id, err)
		}
	}()
	d.site.t.Cleanup(d.stop)
}

// kill ends the device without a goodbye.
func (d *stand) kill() {
	gone := make(chan struct{})
	d.post(func() {
		if g := d.gossip; g != nil {
			g.end()
			_ = g.list.Shutdown()
			d.gossip = nil
		}
		close(gone)
	})
	<-gone
	d.stop()
}

// nudge tells the device that its connection may be another.
func (d *stand) nudge() {
	d.mu.Lock()
	w := d.watch
	d.mu.Unlock()
	if w != nil {
		w(true, 1, "")
	}
}

type clock struct{ from time.Time }

func (c clock) Now() time.Duration { return time.Since(c.from) }

// A stand is the Uplink of its seat: it is connected wherever somebody is.
func (d *stand) Home() uplink.Target {
	return uplink.Target{Hubs: []string{d.site.hub}, Username: string(d.id), Password: "x"}
}

func (d *stand) Aim(to uplink.Target) error {
	d.mu.Lock()
	same := d.target.Same(to)
	d.target = to
	d.mu.Unlock()
	if !same {
		d.nudge()
	}
	return to.Validate()
}

// reaches tells whether the device could connect to the hub itself.
func (d *stand) reaches() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.site.hubUp() && !d.cut
}

func (d *stand) At() (uplink.Target, bool) {
	d.mu.Lock()
	to, cut := d.target, d.cut
	d.mu.Unlock()
	if to.Via == "" {
		return to, d.site.hubUp() && !cut
	}
	return to, true
}

func (d *stand) Watch(changed func(bool, uint64, string)) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch = changed
	return func() {}
}

func (d *stand) Subscribe(filter string, f func(area.Message)) (func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if filter == area.PeersTopic(d.id) {
		d.docs = f
	}
	return func() {}, nil
}

// It is the Host too: a name and a term.
func (d *stand) Lead(ctx context.Context, r Reign) error {
	d.mu.Lock()
	unable := d.unable
	d.reign = &r
	d.mu.Unlock()
	if unable {
		return fmt.Errorf("it cannot")
	}
	term := r.Term + 1
	term += (d.index - term%64 + 64) % 64
	r.Ready(fmt.Sprintf("127.0.0.1:%d", d.index), "http://:80", term)
	<-ctx.Done()
	return nil
}

// link is the second connection.
type link struct{ d *stand }

func (l link) Aim(to uplink.Target) error { return to.Validate() }
func (l link) Want(string, bool)          {}
func (l link) Refused() bool              { l.d.mu.Lock(); defer l.d.mu.Unlock(); return l.d.out }
func (l link) Watch(heard func(area.Trunk), _ func(bool)) func() {
	l.d.link = heard
	return func() {}
}

func (l link) Send(t area.Trunk) error {
	if !l.d.site.hubUp() {
		return uplink.ErrOffline
	}
	l.d.site.mu.Lock()
	a := area.Trunk{Op: area.TrunkWitness, Area: t.Area}
	if l.d.site.live != nil {
		a = *l.d.site.live
	}
	l.d.site.mu.Unlock()
	l.d.link(a)
	return nil
}

func names(n int) (list []area.DeviceID) {
	for i := range n {
		list = append(list, area.DeviceID(fmt.Sprintf("gate-%d", i+1)))
	}
	return list
}

// In a local area the first leads; killed, the others agree on the next; back, the
// old one follows.
func TestLocalLeaderIsKilled(t *testing.T) {
	for _, n := range []int{2, 5} {
		t.Run(fmt.Sprint(n, " members"), func(t *testing.T) {
			t.Parallel()
			all := names(n)
			s := newSite(t, area.TopologyLocal, all...)
			s.start(all...)
			s.until("all follow the first", s.follow("leader", all[0], all...))
			began := time.Now()
			s.seats[all[0]].kill()
			s.until("the others follow the second", s.follow("leader", all[1], all[1:]...))
			t.Logf("the others agree after %v", time.Since(began).Round(10*time.Millisecond))
			second := s.seats[all[1]].State().Term
			s.seats[all[0]].start()
			s.until("the first is back, and follows the second", s.follow("leader", all[1], all...))
			if now := s.seats[all[1]].State().Term; now != second {
				t.Errorf("the second leads by term %d, before by %d: it was to stay", now, second)
			}
		})
	}
}

// A leader that says goodbye is missed at once.
func TestLeaderLeaves(t *testing.T) {
	t.Parallel()
	all := names(3)
	s := newSite(t, area.TopologyLocal, all...)
	s.start(all...)
	s.until("all follow the first", s.follow("leader", all[0], all...))
	s.seats[all[0]].stop()
	s.until("the others follow the second", s.follow("leader", all[1], all[1:]...))
}

// In a direct area nobody leads while the hub is there; without it the first does;
// when it is back everybody returns. What a reign knew outlives the process.
func TestDirect(t *testing.T) {
	t.Parallel()
	all := names(3)
	s := newSite(t, area.TopologyDirect, all...)
	s.start(all...)
	s.until("all see each other", func() bool { return s.seats[all[2]].State().Alive == 3 })
	if !s.follow("hub", "", all...)() {
		t.Fatal("somebody does not turn to the hub")
	}
	s.hubGone()
	s.until("all follow the first", s.follow("leader", all[0], all...))
	if s.seats[all[1]].State().Hub {
		t.Error("the second says that the hub can be reached")
	}
	term := s.seats[all[0]].State().Term
	s.hubBack()
	s.until("all are back", s.follow("hub", "", all...))
	if st := s.seats[all[0]].State(); st.Term != 0 {
		t.Errorf("the first leads still: %+v", st)
	}
	s.seats[all[1]].stop()
	p, kept, known, err := Kept(s.seats[all[1]].cfg.Dir, "")
	if err != nil || !known || kept != term || p.Rev != s.peers.Rev {
		t.Errorf("kept: rev %d, term %d, known %v, %v; want rev %d, term %d", p.Rev, kept, known, err, s.peers.Rev, term)
	}
}

// Who has lost his uplink is carried by who has not.
func TestCarried(t *testing.T) {
	t.Parallel()
	all := names(3)
	s := newSite(t, area.TopologyDirect, all...)
	shelf := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a clip")) }))
	t.Cleanup(shelf.Close)
	s.web = shelf.URL
	for _, n := range all[:2] {
		d := s.seats[n]
		d.cut = true
	}
	s.start(all...)
	s.until("the first two are carried by the third", s.follow("via", all[2], all[:2]...))
	to, _ := s.seats[all[0]].At()
	c, err := to.Open(t.Context(), hubURL(t, s.hub))
	if err != nil {
		t.Fatalf("carried: %v", err)
	}
	_ = c.Close()
	s.until("it was carried", func() bool { return s.seats[all[2]].Stats().Carried > 0 })

	// So is what no neighbour has; who reaches the hub goes there himself.
	fetch := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return s.seats[all[0]].DialWeb(ctx)
	}}}
	res, err := fetch.Get("http://hub.invalid/clips/x")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "a clip" {
		t.Errorf("through the third comes %q, %v", b, err)
	}
	if c, err := s.seats[all[2]].DialWeb(t.Context()); c != nil || err != nil {
		t.Errorf("the third goes through somebody: %v, %v", c, err)
	}
}

// Behind a leader nobody hears the hub: who has the newest roster passes it on. Who
// is no longer on it leaves, and turns to the hub.
func TestRosterIsPassedOn(t *testing.T) {
	t.Parallel()
	all := names(3)
	s := newSite(t, area.TopologyLocal, all...)
	s.start(all...)
	s.until("all follow the first", s.follow("leader", all[0], all...))
	s.mu.Lock()
	s.peers.Volume, s.peers.Key = 33, slices.Repeat([]byte{7}, area.AreaKeySize)
	s.mu.Unlock()
	s.tell(all[0])
	s.until("all have it", func() bool {
		return !slices.ContainsFunc(all, func(n area.DeviceID) bool { return s.seats[n].State().Rev != s.peers.Rev })
	})
	s.until("the new key is in use", func() bool {
		used := make(chan bool, 1)
		d := s.seats[all[0]]
		d.post(func() { used <- slices.Equal(d.gossip.ring.GetPrimaryKey(), s.peers.Key) })
		return <-used
	})
	s.until("and all are there still", func() bool { return s.seats[all[0]].State().Alive == 3 })
	s.mu.Lock()
	s.peers.Members = s.peers.Members[:2]
	s.mu.Unlock()
	s.tell(all...)
	s.until("the third has left", s.follow("hub", "", all[2]))
	s.until("the others are two", func() bool { return s.seats[all[0]].State().Alive == 2 })
	s.until("and follow the first", s.follow("leader", all[0], all[:2]...))
}

// A device whose credential was taken back leads nothing, by the roster that it
// still has, nor after a restart; a newer roster brings it back.
func TestOutcast(t *testing.T) {
	t.Parallel()
	all := names(2)
	s := newSite(t, area.TopologyLocal, all...)
	s.start(all...)
	s.until("both follow the first", s.follow("leader", all[0], all...))
	for _, n := range all { // the one that leads, and then the one that would
		d := s.seats[n]
		d.mu.Lock()
		d.out = true
		d.mu.Unlock()
		s.seats[all[0]].nudge()
		s.until(string(n)+" is no member", func() bool { st := d.State(); return !st.Member && st.Follows == "hub" })
		if p, _, known, err := Kept(d.cfg.Dir, ""); err != nil || !known || slices.ContainsFunc(p.Members, func(m area.Member) bool { return m.Device == n }) {
			t.Errorf("kept is %+v, %v, %v", p.Members, known, err)
		}
		if n == all[0] {
			d.kill()
		}
	}
	d := s.seats[all[1]]
	d.mu.Lock()
	d.out = false
	d.mu.Unlock()
	s.mu.Lock()
	s.peers.Rev++
	s.mu.Unlock()
	s.tell(all[1])
	s.until("it leads again", s.follow("leader", all[1], all[1]))
}

// Who gives clips to the others says where, and finds in the roster where they do,
// for as long as he is on it.
func TestWhereClipsAreGiven(t *testing.T) {
	t.Parallel()
	all := names(2)
	s := newSite(t, area.TopologyDirect, all...)
	s.seats[all[0]].start()
	one := s.seats[all[0]]
	if p, member := one.Roster(); member {
		t.Errorf("before there is one the roster is %+v", p)
	}
	one.Gives("127.0.0.1:7947")
	s.until("it is told", func() bool { p := one.Peer(); return p != nil && p.Clips == "127.0.0.1:7947" })
	s.tell(all[0])
	s.until("the roster is there", func() bool { p, member := one.Roster(); return member && p.Rev == s.peers.Rev && len(p.Members) == 2 })
	one.Gives("")
	s.until("it is taken back", func() bool { return one.Peer().Clips == "" })
	s.mu.Lock()
	s.peers.Members = s.peers.Members[1:]
	s.mu.Unlock()
	s.tell(all[0])
	s.until("it is not on it", func() bool { _, member := one.Roster(); return !member })
}

// A member that cannot lead leaves it to the next.
func TestUnfit(t *testing.T) {
	t.Parallel()
	all := names(2)
	s := newSite(t, area.TopologyLocal, all...)
	s.seats[all[0]].unable = true
	s.start(all...)
	s.until("all follow the second", s.follow("leader", all[1], all...))
	if n := s.seats[all[0]].Stats().Unfit; n == 0 {
		t.Error("the first was not tried")
	}
}

// A part that has lost its leader goes to him through the hub while he is alive
// elsewhere.
func TestWitness(t *testing.T) {
	t.Parallel()
	all := names(2)
	s := newSite(t, area.TopologyLocal, all...)
	s.live = &area.Trunk{Op: area.TrunkWitness, Area: "north", Live: true, Leader: "gate-9", Term: 80}
	s.start(all...)
	s.until("both turn to the hub", func() bool { return s.seats[all[0]].Stats().Asks > 6 && s.follow("hub", "", all...)() })
	s.mu.Lock()
	s.live = &area.Trunk{Op: area.TrunkWitness, Area: "north", Term: 80}
	s.mu.Unlock()
	s.until("he is gone: the first leads", s.follow("leader", all[0], all...))
	if st := s.seats[all[0]].State(); st.Term <= 80 {
		t.Errorf("it leads by term %d, want one above 80", st.Term)
	}
}
