package order

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// fleet are nodes whose tables are one while they reach each other.
type fleet struct {
	mu     sync.Mutex
	now    int
	common map[string]cell
	crew   map[string]*member
}

type cell struct {
	value []byte // nil: gone
	at    int
}

// member is a node of a fleet.
type member struct {
	*bench
	f    *fleet
	name string
	kept *Shared
	keys *shelf
	rows *shelf
	down bool
	gone bool // it answers nothing
	late bool // it hears of changes later
	stop func()
}

// shelf is a table of a node: what it has, and what its watcher is to be told.
type shelf struct {
	m     *member
	table string
	rows  map[string]cell
	watch func(string, []byte)
	news  chan string
}

func newFleet() *fleet { return &fleet{common: map[string]cell{}, crew: map[string]*member{}} }

// join starts a node; its orders are those of its table.
func (f *fleet) join(t *testing.T, name string, rows *shelf) *member {
	t.Helper()
	m := &member{f: f, name: name}
	m.bench = &bench{desk: &desk{}, site: newSite(), told: make(chan area.Order, 1000)}
	m.keys, m.rows = m.shelf("keys"), m.shelf("orders")
	if rows != nil {
		m.rows.rows = rows.rows
	}
	f.mu.Lock()
	f.crew[name] = m
	f.meet(m)
	f.mu.Unlock()
	number := uint64(name[0])
	var err error
	if m.kept, err = NewShared(m.rows, name, number, 0, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	m.store = m.kept.Memory
	if m.Service, err = New(Config{Nodes: &Nodes{Self: name, Orders: m.kept, Keys: m.keys, Peers: m}}, m.kept, m.site, m.desk, Speech{}, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	m.Watch(func(o area.Order) { m.told <- o })
	ctx, stop := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = m.Run(ctx) })
	tasks.Go(func() { m.rows.tell(ctx) })
	m.stop = func() { stop(); tasks.Wait() }
	return m
}

func (m *member) shelf(table string) *shelf {
	return &shelf{m: m, table: table, rows: map[string]cell{}, news: make(chan string, 10_000)}
}

// tell tells the watcher what has changed until ctx ends.
func (x *shelf) tell(ctx context.Context) {
	for {
		select {
		case key := <-x.news:
			x.m.f.mu.Lock()
			c := x.rows[key]
			x.m.f.mu.Unlock()
			x.watch(key, c.value)
		case <-ctx.Done():
			return
		}
	}
}

// meet makes a node's tables one with what the others have.
func (f *fleet) meet(m *member) {
	for _, x := range []*shelf{m.rows, m.keys} {
		for key, c := range x.rows {
			f.spread(x.table, key, c)
		}
		for key, c := range f.common {
			if k, is := bytes.CutPrefix([]byte(key), []byte(x.table+"/")); is {
				x.take(string(k), c)
			}
		}
	}
}

func (f *fleet) spread(table, key string, c cell) {
	if f.common[table+"/"+key].at >= c.at {
		return
	}
	f.common[table+"/"+key] = c
	for _, m := range f.crew {
		if m.down || m.gone || m.late {
			continue
		}
		for _, x := range []*shelf{m.rows, m.keys} {
			if x.table == table {
				x.take(key, c)
			}
		}
	}
}

func (x *shelf) take(key string, c cell) {
	if x.rows[key].at < c.at {
		x.rows[key] = c
		x.news <- key
	}
}

// cut has a node not reach the others, and reach them again.
func (m *member) cut(down bool) {
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	m.down = down
	if !down {
		m.f.meet(m)
	}
}

// kill ends a node without a word.
func (m *member) kill() {
	m.f.mu.Lock()
	m.gone = true
	m.f.mu.Unlock()
	m.stop()
}

func (x *shelf) set(key string, value []byte, done func(error)) {
	x.m.f.mu.Lock()
	x.m.f.now++
	c := cell{slices.Clone(value), x.m.f.now}
	x.rows[key] = c
	if !x.m.down && !x.m.gone {
		x.m.f.spread(x.table, key, c)
	}
	x.m.f.mu.Unlock()
	done(nil)
}

func (x *shelf) PutAsync(key string, value []byte, done func(error)) { x.set(key, value, done) }
func (x *shelf) DeleteAsync(key string, done func(error))            { x.set(key, nil, done) }
func (x *shelf) Watch(changed func(string, []byte))                  { x.watch = changed }

func (x *shelf) Load(each func(string, []byte) error) error {
	x.m.f.mu.Lock()
	rows := maps.Clone(x.rows)
	x.m.f.mu.Unlock()
	for key, c := range rows {
		if c.value == nil {
			continue
		}
		if err := each(key, c.value); err != nil {
			return err
		}
	}
	return nil
}

func (x *shelf) Get(key string) ([]byte, bool, error) {
	x.m.f.mu.Lock()
	defer x.m.f.mu.Unlock()
	c := x.rows[key]
	return c.value, c.value != nil, nil
}

func (x *shelf) Latest(_ context.Context, key string) ([]byte, bool, error) {
	x.m.f.mu.Lock()
	defer x.m.f.mu.Unlock()
	if x.m.down {
		return nil, false, area.Errorf(area.CodeDegraded, "away")
	}
	c := x.m.f.common[x.table+"/"+key]
	x.take(key, c)
	return c.value, c.value != nil, nil
}

func (x *shelf) PutIf(_ context.Context, key string, old, value []byte) ([]byte, bool, error) {
	x.m.f.mu.Lock()
	defer x.m.f.mu.Unlock()
	if x.m.down {
		return nil, false, area.Errorf(area.CodeDegraded, "away")
	}
	if is := x.m.f.common[x.table+"/"+key]; !bytes.Equal(is.value, old) || (is.value == nil) != (old == nil) {
		return is.value, false, nil
	}
	x.m.f.now++
	c := cell{slices.Clone(value), x.m.f.now}
	x.rows[key] = c
	x.m.f.spread(x.table, key, c)
	return nil, true, nil
}

func (m *member) TakeBack(ctx context.Context, node string, id area.WorkID, reason string) (area.Order, error) {
	m.f.mu.Lock()
	to := m.f.crew[node]
	silent := to == nil || to.gone || to.down || m.down
	m.f.mu.Unlock()
	if silent {
		return area.Order{}, area.Errorf(area.CodeDegraded, "node %s does not answer", node)
	}
	return to.Service.TakeBack(ctx, id, reason)
}

// Report hands a report to another node; it is not the service's own.
func (m *member) Report(node string, r area.Report) {
	m.f.mu.Lock()
	to := m.f.crew[node]
	there := to != nil && !to.gone
	m.f.mu.Unlock()
	if there {
		to.Service.Report(r)
	}
}

// nodes runs a test with two nodes, a and b.
func nodes(t *testing.T, f func(t *testing.T, a, b *member)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := newFleet()
		a, b := x.join(t, "a", nil), x.join(t, "b", nil)
		f(t, a, b)
		for _, m := range x.crew {
			if !m.gone {
				m.kill()
			}
		}
	})
}

// moves has a device do the order at its node.
func (m *member) moves(t *testing.T, id area.WorkID, states ...area.OrderState) {
	t.Helper()
	for _, st := range states {
		m.Service.Report(area.Report{Work: id, State: st, Device: "gate-1", Att: 1})
		synctest.Wait()
	}
}

// drain is what a watcher was told of an order: its states, without repetition.
func (m *member) drain(id area.WorkID) (list []area.OrderState) {
	synctest.Wait()
	for {
		select {
		case o := <-m.told:
			if o.ID == id && !slices.Contains(list, o.State) {
				list = append(list, o.State)
			}
		default:
			return list
		}
	}
}

func (m *member) state(t *testing.T, id area.WorkID) area.OrderState {
	t.Helper()
	return m.get(t, id).State
}

// An order is listed, shown, watched and counted in the line at each node, and handed
// over at its own alone.
func TestOrdersOfAllNodesAreOneList(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		first := a.accept(t, say("north", "one"))
		synctest.Wait()
		second := b.accept(t, say("north", "two"))
		for _, m := range []*member{a, b} {
			if st := m.state(t, first.ID); st != area.OrderAccepted {
				t.Errorf("%s shows the order as %s", m.name, st)
			}
			items, _, err := m.List(Filter{})
			if err != nil || len(items) != 2 || items[0].ID != second.ID || items[1].ID != first.ID {
				t.Errorf("%s lists %d, %v", m.name, len(items), err)
			}
			q := m.Queue("north")
			if len(q) != 2 || q[0].Order != first.ID || q[1].Order != second.ID {
				t.Errorf("%s has the queue %+v", m.name, q)
			}
			if st := m.Stats(); st.Live != 1 || st.Waiting != 1 || st.Accepted != 1 || m.Waiting() != 2 {
				t.Errorf("%s counts %+v, %d waiting", m.name, st, m.Waiting())
			}
			if w := m.desk.submitted(); len(w) != 1 {
				t.Errorf("%s has handed over %d works", m.name, len(w))
			}
		}
		a.moves(t, first.ID, area.OrderAssigned, area.OrderPlaying, area.OrderPlayed)
		for _, m := range []*member{a, b} {
			if got := m.drain(first.ID); !slices.Contains(got, area.OrderPlayed) {
				t.Errorf("%s's watcher is told %v", m.name, got)
			}
			if o := m.get(t, first.ID); o.State != area.OrderPlayed || states(o) != "accepted assigned playing played" {
				t.Errorf("%s shows %s: %s", m.name, o.State, states(o))
			}
			if n := len(m.Queue("north")); n != 1 {
				t.Errorf("%s has %d in the queue", m.name, n)
			}
		}
		if p := a.Stats().Played + b.Stats().Played; p != 1 {
			t.Errorf("one sound is counted %d times", p)
		}
	})
}

// An order that another node has just accepted is found before this one has heard of it.
func TestFindAnOrderOfAnotherNode(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		b.late = true
		o := a.accept(t, say("north", "one"))
		synctest.Wait()
		if _, err := b.Get(o.ID); area.CodeOf(err) != area.CodeNotFound {
			t.Fatalf("b knows of it: %v", err)
		}
		for range 2 {
			if got, err := b.Find(t.Context(), o.ID); err != nil || got.ID != o.ID || got.State != area.OrderAccepted {
				t.Errorf("b finds %+v, %v", got, err)
			}
		}
		if w := b.desk.submitted(); len(w) != 0 {
			t.Errorf("b has handed over %d works", len(w))
		}
		for _, down := range []bool{false, true} {
			b.cut(down)
			if _, err := b.Find(t.Context(), "o-none"); area.CodeOf(err) != area.CodeNotFound {
				t.Errorf("an order that nobody has: %v", err)
			}
		}
	})
}

// An order is cancelled at any node by its own; where that does not answer, the
// caller is told so.
func TestCancelAtAnotherNode(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		a.desk.onCancel = func(id area.WorkID, reason string) {
			go a.Service.Report(area.Report{Work: id, State: area.OrderCancelled, Reason: reason, Att: 1})
		}
		o := a.accept(t, say("north", "one"))
		synctest.Wait()
		got, err := b.Cancel(t.Context(), o.ID)
		if err != nil || got.State != area.OrderCancelled || *got.Reason != area.EndUser {
			t.Errorf("told %+v, %v", got, err)
		}
		if st := b.state(t, o.ID); st != area.OrderCancelled {
			t.Errorf("b shows %s", st)
		}
		if _, err := b.Cancel(t.Context(), o.ID); area.CodeOf(err) != area.CodeEnded {
			t.Errorf("once more: %v", err)
		}
		var ids []area.WorkID
		for range 20 {
			ids = append(ids, a.accept(t, say("north", "more")).ID)
		}
		synctest.Wait()
		out, err := b.StopArea(t.Context(), "north", true)
		slices.Sort(out.Cancelled)
		slices.Sort(ids)
		if err != nil || !slices.Equal(out.Cancelled, ids) {
			t.Errorf("a stop at b takes back %d of %d, %v", len(out.Cancelled), len(ids), err)
		}
		last := a.accept(t, say("north", "last"))
		synctest.Wait()
		a.kill()
		if _, err := b.Cancel(t.Context(), last.ID); area.CodeOf(err) != area.CodeDegraded {
			t.Errorf("of a node that is gone is told %v", err)
		}
	})
}

// Live orders of a node that is gone are gone on with by one of the others, as after a
// restart; the node that comes back lets them go.
func TestOrdersOfANodeThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newFleet()
		a, b, c := x.join(t, "a", nil), x.join(t, "b", nil), x.join(t, "c", nil)
		waits := a.accept(t, say("north", "waits"))
		later := say("north", "later")
		at := area.At(time.Now().Add(time.Minute))
		later.NotBefore = &at
		due := a.accept(t, later)
		done := a.accept(t, say("north", "done"))
		a.moves(t, done.ID, area.OrderPlaying, area.OrderPlayed)
		a.kill()
		if got := b.Owners(); !slices.Equal(got, []string{"a"}) {
			t.Errorf("owners are %v", got)
		}
		var both sync.WaitGroup
		for _, m := range []*member{b, c} {
			both.Go(func() {
				if err := m.Inherit(context.Background(), "a"); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		synctest.Wait()
		if n := b.Stats().Inherited + c.Stats().Inherited; n != 2 {
			t.Fatalf("%d orders are taken over, want 2", n)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		handed := append(b.desk.submitted(), c.desk.submitted()...)
		if len(handed) != 2 {
			t.Fatalf("%d works are handed over, want 2", len(handed))
		}
		for _, m := range []*member{b, c} {
			for _, w := range m.desk.submitted() {
				m.moves(t, w.ID, area.OrderPlaying)
			}
		}
		back := x.join(t, "a", a.rows)
		synctest.Wait()
		if st := back.Stats(); st.Live != 0 || len(back.desk.submitted()) != 0 {
			t.Errorf("the node that comes back has %d orders, and hands over %d", st.Live, len(back.desk.submitted()))
		}
		for _, m := range []*member{b, c} {
			for _, w := range m.desk.submitted() {
				m.moves(t, w.ID, area.OrderPlayed)
			}
		}
		for _, m := range []*member{back, b, c} {
			for _, id := range []area.WorkID{waits.ID, due.ID, done.ID} {
				if st := m.state(t, id); st != area.OrderPlayed {
					t.Errorf("%s shows %s as %s", m.name, id, st)
				}
			}
			m.kill()
		}
	})
}

// A node that did not know that its orders were taken over goes on with those of
// which it has the newest word; one node has each in the end, and each ends once.
func TestANodeThatWasCutOff(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		kept, lost := a.accept(t, say("north", "kept")), a.accept(t, say("north", "lost"))
		synctest.Wait()
		a.cut(true)
		if err := b.Inherit(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.moves(t, kept.ID, area.OrderPlaying) // newer than what b knows
		a.cut(false)
		synctest.Wait()
		if x, y := a.Stats().Live, b.Stats().Live; x != 1 || y != 1 {
			t.Errorf("a has %d, b %d", x, y)
		}
		if n := a.Stats().LetGo + b.Stats().LetGo; n != 2 {
			t.Errorf("%d were let go", n)
		}
		a.moves(t, lost.ID, area.OrderPlayed) // a word that reached the wrong node
		a.moves(t, kept.ID, area.OrderPlayed)
		for _, m := range []*member{a, b} {
			for _, id := range []area.WorkID{kept.ID, lost.ID} {
				if st := m.state(t, id); st != area.OrderPlayed {
					t.Errorf("%s shows %s as %s", m.name, id, st)
				}
			}
		}
		if n := a.Stats().Played + b.Stats().Played; n != 2 {
			t.Errorf("two sounds are counted %d times", n)
		}
	})
}

// Two ends of one order become one, the earlier, at every node.
func TestTwoEndsBecomeOne(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		o := a.accept(t, say("north", "one"))
		synctest.Wait()
		a.cut(true)
		if err := b.Inherit(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		a.moves(t, o.ID, area.OrderPlayed)
		time.Sleep(time.Second)
		b.moves(t, o.ID, area.OrderFailed)
		a.cut(false)
		for _, m := range []*member{a, b} {
			if st := m.state(t, o.ID); st != area.OrderPlayed {
				t.Errorf("%s shows %s", m.name, st)
			}
		}
	})
}

// An idempotency key is the same at each node.
func TestIdempotencyKeysOfAllNodes(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		by := By{Who: "ann", IdempotencyKey: "k"}
		first, replayed, err := a.AcceptOnce(t.Context(), say("north", "one"), by)
		if err != nil || replayed {
			t.Fatalf("%v, %v", replayed, err)
		}
		synctest.Wait()
		for _, m := range []*member{b, a, b} {
			again, replayed, err := m.AcceptOnce(t.Context(), say("north", "one"), by)
			if err != nil || !replayed || again.ID != first.ID || again.State != first.State {
				t.Errorf("%s answers %s, replayed %v, %v", m.name, again.ID, replayed, err)
			}
		}
		if _, _, err := b.AcceptOnce(t.Context(), say("north", "two"), by); area.CodeOf(err) != area.CodeIdempotencyMismatch {
			t.Errorf("another body: %v", err)
		}
		other := By{Who: "bob", IdempotencyKey: "k"}
		if o, _, err := b.AcceptOnce(t.Context(), say("north", "one"), other); err != nil || o.ID == first.ID {
			t.Errorf("another principal: %s, %v", o.ID, err)
		}
		refused := By{Who: "ann", IdempotencyKey: "r"}
		if _, _, err := a.AcceptOnce(t.Context(), say("nowhere", "one"), refused); err == nil {
			t.Error("nowhere is an area")
		}
		if _, replayed, err := b.AcceptOnce(t.Context(), say("north", "one"), refused); err != nil || replayed {
			t.Errorf("the key of a refused request: %v, %v", replayed, err)
		}
		var both sync.WaitGroup
		ids := make([]area.WorkID, 2)
		for i, m := range []*member{a, b} {
			both.Go(func() {
				o, _, err := m.AcceptOnce(t.Context(), say("north", "at once"), By{Who: "ann", IdempotencyKey: "both"})
				if err != nil {
					t.Error(err)
				}
				ids[i] = o.ID
			})
		}
		both.Wait()
		if ids[0] != ids[1] {
			t.Errorf("at once: %v", ids)
		}
		b.cut(true)
		if _, _, err := b.AcceptOnce(t.Context(), say("north", "alone"), By{Who: "ann", IdempotencyKey: "alone"}); err != nil || b.Stats().KeysAlone != 1 {
			t.Errorf("alone: %v, %+v", err, b.Stats())
		}
	})
}

// A node that died with a key half used leaves it to who comes next, who answers with
// the order that it made.
func TestAKeyThatIsHalfUsed(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		by, r := By{Who: "ann", IdempotencyKey: "k"}, say("north", "one")
		k, _ := a.key(keyName{"ann", "k"}, sumOf(t, r))
		c := claim{Body: k.body[:], At: time.Now(), ID: a.ids.next(time.Now())}
		if first, err := a.claim(t.Context(), k.name.shared(), &c); err != nil || !first {
			t.Fatal(err)
		}
		id, made := string(c.ID), r
		made.ID = &id
		o := a.accept(t, made)
		synctest.Wait()
		a.kill()
		if _, _, err := b.AcceptOnce(t.Context(), r, by); area.CodeOf(err) != area.CodeDegraded {
			t.Errorf("while it may be under way: %v", err)
		}
		time.Sleep(keyStale)
		got, _, err := b.AcceptOnce(t.Context(), r, by)
		if err != nil || got.ID != o.ID {
			t.Errorf("answered %s, %v; want %s", got.ID, err, o.ID)
		}
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if got, _, err := b.AcceptOnce(t.Context(), r, by); err != nil || got.ID == o.ID {
			t.Errorf("a day later: %s, %v", got.ID, err)
		}
	})
}

// A node that was alone has its orders when it is one of several.
func TestOrdersOfANodeThatWasAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newFleet()
		lone := &shelf{m: &member{f: x, gone: true}, table: "orders", rows: map[string]cell{}, news: make(chan string, 100)}
		d, err := NewDurable(lone, 0, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Config{}, d, newSite(), &desk{}, Speech{}, time.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		o, err := s.Accept(t.Context(), say("north", "one"), By{})
		if err != nil {
			t.Fatal(err)
		}
		a, b := x.join(t, "a", lone), x.join(t, "b", nil)
		synctest.Wait()
		if n := len(a.desk.submitted()); n != 1 {
			t.Errorf("its node hands it over %d times", n)
		}
		if n := len(b.desk.submitted()); n != 0 || b.state(t, o.ID) != area.OrderAccepted {
			t.Errorf("another node hands it over %d times", n)
		}
		a.kill()
		b.kill()
	})
}

func sumOf(t *testing.T, r area.OrderRequest) [sha256.Size]byte {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// An order that was answered outlives its node at once, and its id is taken at every
// node; while the others are away the node's own disk has to do.
func TestANewOrderIsEveryNodes(t *testing.T) {
	nodes(t, func(t *testing.T, a, b *member) {
		id := "mine"
		r := say("north", "one")
		r.ID = &id
		o := a.accept(t, r)
		a.f.mu.Lock()
		_, common := a.f.common["orders/"+id]
		a.f.mu.Unlock()
		if !common {
			t.Error("what was answered is its node's alone")
		}
		if _, err := b.Accept(t.Context(), r, By{Who: "ann"}); area.CodeOf(err) != area.CodeExists {
			t.Errorf("the same id at b: %v", err)
		}
		b.cut(true)
		alone := b.accept(t, say("north", "alone"))
		synctest.Wait()
		b.cut(false)
		for _, m := range []*member{a, b} {
			for _, id := range []area.WorkID{o.ID, alone.ID} {
				if st := m.state(t, id); st != area.OrderAccepted {
					t.Errorf("%s shows %s as %s", m.name, id, st)
				}
			}
		}
	})
}
