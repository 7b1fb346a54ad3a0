package peers

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Area is what an area is like, for its roster document.
type Area struct {
	Peers    area.Peers // without revision, key, topology and members
	Topology string     // as it is set: auto, local or direct
}

// Areas tells of the areas and who is in them.
type Areas interface {
	Names() []area.Name
	// Describe answers false for an area that is not there.
	Describe(a area.Name) (Area, bool)
	// Player answers false for a device that is not known.
	Player(d area.DeviceID) (area.Device, bool)
	// Watch calls changed after every change, also of a reign; it only signals.
	Watch(changed func()) (cancel func())
	// Reign is the number of the reign that this node has over an area, another one
	// each time; 0: it has none. That of a hub of one node is [Alone].
	Reign(a area.Name) uint64
	// Here tells whether this is the node that sends to a device what goes to it.
	Here(d area.DeviceID) bool
}

// Alone is the reign of a hub that has no other nodes: nobody else writes its table.
const Alone = math.MaxUint64

// Table keeps records by key, for all nodes of the hub; shared.Table is one, and
// documents the methods.
type Table interface {
	Load(each func(key string, value []byte) error) error
	Get(key string) (value []byte, ok bool, err error)
	Latest(ctx context.Context, key string) (value []byte, ok bool, err error)
	PutIf(ctx context.Context, key string, old, value []byte) (found []byte, done bool, err error)
}

// Service keeps the rosters of all areas. Make it with [New]. Its methods are
// safe for concurrent use.
type Service struct {
	bus   area.Bus
	areas Areas
	table Table
	told  func(area.Name, string, area.Peering)
	now   func() time.Time
	log   *slog.Logger
	wake  chan struct{} // holds one signal
	calls chan func(context.Context)
	count struct{ sent, refused, failed, elsewhere atomic.Uint64 }

	// Run's own:
	full map[area.Name]bool // all indices are given, and that was logged
	like map[area.Name]Area // what the document of an area was made of

	mu        sync.Mutex
	books     map[area.Name]book // changed by Run alone
	said      map[area.DeviceID]said
	revoke    map[area.DeviceID]bool
	changed   map[area.Name]bool   // at another node
	confirmed map[area.Name]uint64 // reign in which the book is known to be the newest there is
}

// said is what a device said of itself last.
type said struct {
	boot   uint64
	old    bool // it was retained at another node, and is not known to be live there
	mid    string
	peer   *area.Peer
	stands area.PeersHealth
	unsent bool   // not looked at yet
	sent   uint64 // revision of the document that it was sent since; 0: none
}

const (
	mostCalls = 64
	mostSaid  = 20_000 // devices; as many as the roster has players
	// pace is how often all areas are looked at when something has changed that
	// is no device's own word.
	pace = time.Second
	// again is how soon what could not be written is tried again.
	again = 5 * time.Second
)

// New reads the table. The bus has the statuses of devices at every node. told is called with what the topology of each area comes
// to, and how its members stand, at once for what is kept and then from Run's
// goroutine, at each look and after a member has changed or has said something; it
// must not block.
func New(bus area.Bus, areas Areas, table Table, told func(a area.Name, topology string, is area.Peering), now func() time.Time, log *slog.Logger) (*Service, error) {
	if bus == nil || areas == nil || table == nil || told == nil || now == nil || log == nil {
		return nil, errors.New("peers: a part is missing")
	}
	s := &Service{
		bus: bus, areas: areas, table: table, told: told, now: now, log: log,
		wake: make(chan struct{}, 1), calls: make(chan func(context.Context), mostCalls), full: map[area.Name]bool{}, like: map[area.Name]Area{},
		books: map[area.Name]book{}, said: map[area.DeviceID]said{}, revoke: map[area.DeviceID]bool{},
		changed: map[area.Name]bool{}, confirmed: map[area.Name]uint64{},
	}
	err := table.Load(func(key string, value []byte) error {
		k, err := readBook(value)
		if err != nil {
			return fmt.Errorf("roster of area %s: %w", key, err)
		}
		s.books[area.Name(key)] = k
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	for a, k := range s.books {
		if of, ok := areas.Describe(a); ok {
			told(a, k.topology(of.Topology), s.peering(k))
		}
	}
	return s, nil
}

// Run keeps the rosters until ctx ends; it then returns nil. Its error is that of
// the subscription.
func (s *Service) Run(ctx context.Context) error {
	cancel, err := s.bus.Subscribe(area.StatusTopic("+"), s.heard)
	if err != nil {
		return fmt.Errorf("subscribe to the devices' statuses: %w", err)
	}
	defer cancel()
	defer s.areas.Watch(s.Changed)()
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := true // the timer runs
	for {
		select {
		case <-ctx.Done():
			return nil
		case call := <-s.calls:
			call(ctx)
		case <-s.wake:
			s.takeChanged(ctx)
			s.look(ctx)
			if !due {
				due = true
				timer.Reset(pace)
			}
		case <-timer.C:
			if due = !s.lookAll(ctx); due {
				timer.Reset(again)
			}
		}
	}
}

// heard notes what a device says of itself; it is called on the publisher's
// goroutine. What is retained here says nothing of who is live; what another node
// retains may have been missed when it was said.
func (s *Service) heard(m area.Message) {
	if m.Replay && m.Node == "" || len(m.Payload) == 0 {
		return
	}
	st, err := area.ParseStatus(m.Payload)
	if err != nil || !st.Online {
		return
	}
	d := area.ParseTopic(m.Topic).Device
	is := said{boot: st.Boot, old: m.Replay, mid: st.MID, peer: st.Peers, unsent: true}
	if st.Health != nil && st.Health.Peers != nil {
		is.stands = *st.Health.Peers
	}
	s.mu.Lock()
	before, known := s.said[d]
	if (known || len(s.said) < mostSaid) && (!is.old || before.boot < is.boot || before.old) {
		s.said[d] = is
	}
	s.mu.Unlock()
	s.poke()
}

// Changed has all areas looked at soon: something that is in their documents may
// have changed. It does not block.
func (s *Service) Changed() { s.poke() }

// Revoked says that the credential of a device was withdrawn: it is no member any
// more, and the key of its area changes. It does not block.
func (s *Service) Revoked(d area.DeviceID) {
	s.mu.Lock()
	for _, k := range s.books {
		if _, is := k.member(d); is {
			s.revoke[d] = true
		}
	}
	s.mu.Unlock()
	s.poke()
}

func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Member finds a member of an area's roster.
func (s *Service) Member(in area.Name, d area.DeviceID) (area.Member, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.books[in]
	e, ok := k.member(d)
	return e.member(), ok
}

// Members are the members of an area's roster, by name.
func (s *Service) Members(in area.Name) (list []area.Member) {
	k := s.book(in)
	for _, e := range k.Entries {
		if !e.Left {
			list = append(list, e.member())
		}
	}
	slices.SortFunc(list, func(a, b area.Member) int { return cmp.Compare(a.Device, b.Device) })
	return list
}

func (e entry) member() area.Member {
	return area.Member{Device: e.Device, MID: e.MID, Index: e.Index, Priority: e.Priority, Addr: e.Addr, Clips: e.Clips}
}

// peering is how the members of an area stand, as they told last.
func (s *Service) peering(k book) area.Peering {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := area.Peering{Rev: k.Rev, Members: []area.PeerMember{}}
	for _, e := range k.Entries {
		if e.Left {
			continue
		}
		m := area.PeerMember{Device: e.Device, Index: e.Index, Priority: e.Priority, Addr: e.Addr}
		if is, ok := s.said[e.Device]; ok && is.peer != nil && !is.old {
			h := is.stands
			m.Told, m.Rev, m.Leads, m.Follows, m.Who, m.Hub, m.Carried = true, is.peer.Rev, h.Term != 0, h.Follows, h.Who, h.Hub, h.Carried
		}
		p.Members = append(p.Members, m)
	}
	slices.SortFunc(p.Members, func(a, b area.PeerMember) int { return cmp.Compare(a.Index, b.Index) })
	return p
}

// Key is the key of an area. It blocks for the disk. Its error is an [area.Error] of
// code not_found where there is no such area, or nobody in it who could use a key,
// the table's, or ctx's.
func (s *Service) Key(ctx context.Context, a area.Name) ([]byte, error) {
	return s.key(ctx, a, false)
}

// Rotate makes a new key for an area, and sends it to the members. Else it is
// as [Service.Key].
func (s *Service) Rotate(ctx context.Context, a area.Name) ([]byte, error) {
	return s.key(ctx, a, true)
}

func (s *Service) key(ctx context.Context, a area.Name, fresh bool) ([]byte, error) {
	type result struct {
		key []byte
		err error
	}
	answer := make(chan result, 1)
	call := func(run context.Context) {
		key, err := s.makeKey(run, a, fresh)
		answer <- result{key, err}
	}
	select {
	case s.calls <- call:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case r := <-answer:
		return r.key, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *Service) makeKey(ctx context.Context, a area.Name, fresh bool) ([]byte, error) {
	of, ok := s.areas.Describe(a)
	if !ok {
		return nil, area.Errorf(area.CodeNotFound, "no area %s", a)
	}
	if k := s.book(a); !k.inhabited() {
		return nil, area.Errorf(area.CodeNotFound, "area %s has no members, and so no key", a)
	} else if !fresh && len(k.Key) != 0 {
		return k.Key, nil
	}
	err := s.alter(ctx, a, of, func(k *book) error { k.Key = newKey(); return nil })
	if err != nil {
		return nil, err
	}
	k := s.book(a)
	s.log.Info("area has a new key", "area", a, "n", k.Rev)
	return k.Key, nil
}

func newKey() []byte {
	key := make([]byte, area.AreaKeySize)
	_, _ = rand.Read(key) // never fails
	return key
}

func (s *Service) book(a area.Name) book {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.books[a]
}

// Stats counts.
type Stats struct {
	Areas   int    // with a key
	Members int    // of all areas, now
	Sent    uint64 // documents
	Refused uint64 // devices for which there was no index
	Failed  uint64 // writes
	// Elsewhere counts the changes that other nodes have made.
	Elsewhere uint64
}

// Stats is a snapshot of the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := Stats{Areas: len(s.books), Sent: s.count.sent.Load(), Refused: s.count.refused.Load(), Failed: s.count.failed.Load(), Elsewhere: s.count.elsewhere.Load()}
	for _, k := range s.books {
		for _, e := range k.Entries {
			if !e.Left {
				t.Members++
			}
		}
	}
	return t
}
