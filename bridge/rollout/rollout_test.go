package rollout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// table is a [Table] in memory.
type table struct {
	mu    sync.Mutex
	rows  map[string][]byte
	fail  error
	watch []func(key string, value []byte) // what all nodes are told
}

func (t *table) Load(each func(string, []byte) error) error {
	for k, v := range t.rows {
		if err := each(k, v); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) Put(_ context.Context, key string, value []byte) error {
	t.mu.Lock()
	if t.fail != nil {
		defer t.mu.Unlock()
		return t.fail
	}
	t.rows[key] = slices.Clone(value)
	t.mu.Unlock()
	t.tell(key, value)
	return nil
}

func (t *table) PutIf(_ context.Context, key string, old, value []byte) (found []byte, done bool, err error) {
	t.mu.Lock()
	if is := t.rows[key]; t.fail != nil || !bytes.Equal(is, old) {
		defer t.mu.Unlock()
		return is, false, t.fail
	}
	t.rows[key] = slices.Clone(value)
	t.mu.Unlock()
	t.tell(key, value)
	return nil, true, nil
}

func (t *table) Delete(_ context.Context, key string) error {
	t.mu.Lock()
	delete(t.rows, key)
	t.mu.Unlock()
	t.tell(key, nil)
	return nil
}

func (t *table) tell(key string, value []byte) {
	for _, w := range t.watch {
		w(key, value)
	}
}

func (t *table) setFail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = err
}

// site is players, and a bus that notes the orders.
type site struct {
	table   *table
	down    map[area.DeviceID]bool
	foreign map[area.DeviceID]bool // of somebody else's program

	mu       sync.Mutex
	hear     map[int]func(area.Message)
	next     int
	statuses map[area.DeviceID]area.Update // what was said last
	orders   []string                      // "gate-1 u-1"
}

// players are two in north, three in south; and a sensor.
func (s *site) Devices() (list []area.Device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range []struct {
		id area.DeviceID
		in area.Name
	}{{"gate-3", "south"}, {"gate-1", "north"}, {"gate-5", "south"}, {"gate-4", "south"}, {"gate-2", "north"}} {
		p := area.Online
		if s.down[d.id] {
			p = area.Offline
		}
		list = append(list, area.Device{ID: d.id, Kind: "player", Area: d.in, Presence: p})
	}
	return append(list, area.Device{ID: "hall", Kind: "sensor", Area: "north", Presence: area.Online})
}

func (s *site) Device(id area.DeviceID) (area.Device, bool) {
	for _, d := range s.Devices() {
		if d.ID == id {
			return d, true
		}
	}
	return area.Device{}, false
}

// Retained is the device's status as it was before anything is ordered.
func (s *site) Retained(topic string, _ int) []area.Message {
	st := area.Status{Online: true, Update: &area.Update{State: area.UpdateIdle}}
	id := area.ParseTopic(topic).Device
	if s.foreign[id] {
		st.Update = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if said, ok := s.statuses[id]; ok {
		st.Update = &said
	}
	return []area.Message{{Topic: topic, Payload: st.Encode()}}
}

func (s *site) Publish(_ context.Context, batch ...area.Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range batch {
		s.orders = append(s.orders, strings.TrimSuffix(strings.TrimPrefix(m.Topic, "tacet/device/"), "/cmd/update")+" "+string(m.Payload))
	}
	return nil
}

func (s *site) Subscribe(_ string, enqueue func(area.Message)) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.next
	s.hear[n], s.next = enqueue, n+1
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.hear, n)
	}, nil
}

func (s *site) setDown(id area.DeviceID, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down[id] = down
}

// says is a device's status.
func (s *site) says(id area.DeviceID, order, state, reason string) {
	u := area.Update{State: state, Order: order, Version: "v2.0.0", Reason: reason}
	s.mu.Lock()
	s.statuses[id] = u
	hear := slices.Collect(maps.Values(s.hear))
	s.mu.Unlock()
	for _, h := range hear {
		h(area.Message{Topic: area.StatusTopic(id), Payload: area.Status{Online: true, Update: &u}.Encode()})
	}
	synctest.Wait()
}

// ordered are the devices that were ordered since it was asked last.
func (s *site) ordered() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []string
	for _, o := range s.orders {
		id, _, _ := strings.Cut(o, " ")
		ids = append(ids, id)
	}
	s.orders = nil
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

func newSite() *site {
	return &site{table: &table{rows: map[string][]byte{}}, down: map[area.DeviceID]bool{}, foreign: map[area.DeviceID]bool{}, hear: map[int]func(area.Message){}, statuses: map[area.DeviceID]area.Update{}}
}

// run starts a service; end ends it.
func (s *site) run(t *testing.T) (svc *Service, end func()) {
	t.Helper()
	return s.runAs(t, "", nil)
}

func (s *site) runAs(t *testing.T, node string, mine func() bool) (svc *Service, end func()) {
	t.Helper()
	svc, err := New(Parts{Node: node, Mine: mine, Bus: s, Devices: s, Retained: s, Table: s.table, Now: time.Now}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.table.watch = append(s.table.watch, svc.Changed)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }() // end waits for it
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	synctest.Wait()
	return svc, end
}

func start(t *testing.T, svc *Service, to To) string {
	t.Helper()
	r, err := svc.Start(t.Context(), Request{To: to, Version: "v2.0.0"}, "ann", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r.ID
}

// shown is a rollout in one line.
func shown(t *testing.T, svc *Service, id string) string {
	t.Helper()
	r, err := svc.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	text := r.State
	for _, d := range r.Devices {
		text += fmt.Sprintf(" %s:%s", d.Device, d.State)
	}
	if (r.EndedAt != nil) != (r.State != Running && !strings.Contains(text, Ordered)) {
		text += fmt.Sprint(" ended at ", r.EndedAt)
	}
	return text
}

// In each area one device at a time, the next one after it has confirmed.
func TestOneAtATimeInEachArea(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		svc, _ := s.run(t)
		id := start(t, svc, To{All: true})
		if got := s.ordered(); got != "gate-1 gate-3" {
			t.Errorf("first it orders %q", got)
		}
		for _, state := range []string{area.UpdateDownloading, area.UpdateStaged, area.UpdateTrial} {
			s.says("gate-1", id, state, "")
			if got := s.ordered(); got != "" {
				t.Errorf("at %s it orders %q", state, got)
			}
		}
		s.says("gate-2", id, area.UpdateConfirmed, "") // whose turn it is not
		s.says("gate-3", "u-other", area.UpdateConfirmed, "")
		if got := s.ordered(); got != "" {
			t.Errorf("for what it did not ask it orders %q", got)
		}
		s.says("gate-1", id, area.UpdateConfirmed, "")
		s.says("gate-3", id, area.UpdateRefused, "it runs already")
		if got := s.ordered(); got != "gate-2 gate-4" {
			t.Errorf("then it orders %q", got)
		}
		s.says("gate-2", id, area.UpdateConfirmed, "")
		s.says("gate-4", id, area.UpdateConfirmed, "")
		s.ordered()
		s.says("gate-5", id, area.UpdateConfirmed, "")
		if got, want := shown(t, svc, id), "failed gate-1:confirmed gate-2:confirmed gate-3:refused gate-4:confirmed gate-5:confirmed"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if st := svc.Stats(); st != (Stats{Made: 1, Orders: 5, Confirmed: 4, Refused: 1}) {
			t.Errorf("it counted %+v", st)
		}
	})
}

// Where one fails, nobody else is begun; who is at it goes on.
func TestOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		svc, _ := s.run(t)
		id := start(t, svc, To{All: true})
		s.ordered()
		s.says("gate-3", id, area.UpdateFailed, "it was not healthy")
		if got, want := shown(t, svc, id), "failed gate-1:ordered gate-2:skipped gate-3:failed gate-4:skipped gate-5:skipped"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		s.says("gate-1", id, area.UpdateConfirmed, "")
		if got := s.ordered(); got != "" {
			t.Errorf("after a failure it orders %q", got)
		}
		if r, _ := svc.Get(id); r.EndedAt == nil || r.State != Failed || r.Devices[2].Reason != "it was not healthy" {
			t.Errorf("%+v", r)
		}
	})
}

// A device that says nothing is ordered once more, and then has failed; one that
// is not there is skipped.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		s.down["gate-3"], s.foreign["gate-5"] = true, true
		svc, _ := s.run(t)
		id := start(t, svc, To{Area: ptr[area.Name]("south")})
		if got := s.ordered(); got != "gate-4" {
			t.Errorf("it orders %q", got)
		}
		time.Sleep(againTime + 2*look)
		if got := s.ordered(); got != "gate-4" {
			t.Errorf("after half a minute it orders %q", got)
		}
		s.says("gate-4", id, area.UpdateDownloading, "")
		time.Sleep(quietTime - 2*look)
		if got, want := shown(t, svc, id), "running gate-3:skipped gate-4:downloading gate-5:waiting"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		time.Sleep(4 * look)
		if got, want := shown(t, svc, id), "failed gate-3:skipped gate-4:failed gate-5:skipped"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		id = start(t, svc, To{Device: ptr[area.DeviceID]("gate-5")})
		synctest.Wait()
		if r, _ := svc.Get(id); r.State != Done || r.Devices[0].Reason != "its program takes no updates" {
			t.Errorf("a foreign program: %+v", r)
		}
		id = start(t, svc, To{Device: ptr[area.DeviceID]("gate-4")})
		time.Sleep(AnswerTime + 2*look)
		if got, want := shown(t, svc, id), "failed gate-4:failed"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// Two rollouts share an area: its devices still go one after the other.
func TestTwoRollouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		svc, _ := s.run(t)
		one := start(t, svc, To{Device: ptr[area.DeviceID]("gate-2")})
		time.Sleep(time.Millisecond)
		two := start(t, svc, To{Area: ptr[area.Name]("north")})
		if got := s.ordered(); got != "gate-2" {
			t.Errorf("it orders %q", got)
		}
		s.says("gate-2", one, area.UpdateConfirmed, "")
		if got := s.ordered(); got != "gate-1" {
			t.Errorf("then it orders %q", got)
		}
		if _, err := svc.Cancel(two, "bob"); err != nil {
			t.Error(err)
		}
		s.says("gate-1", two, area.UpdateConfirmed, "")
		if got, want := shown(t, svc, two), "cancelled gate-1:confirmed gate-2:skipped"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if _, err := svc.Cancel(two, "bob"); area.CodeOf(err) != area.CodeEnded {
			t.Errorf("again: %v", err)
		}
		if got := s.ordered(); got != "" {
			t.Errorf("after it was cancelled it orders %q", got)
		}
		if list := svc.List(); len(list) != 2 || list[0].ID != one || list[1].ID != two {
			t.Errorf("the list is %+v", list)
		}
	})
}

// A rollout goes on after a restart of the hub, and what was said meanwhile
// counts.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		svc, end := s.run(t)
		id := start(t, svc, To{Area: ptr[area.Name]("north")})
		s.ordered()
		s.says("gate-1", id, area.UpdateTrial, "")
		end()
		s.table.rows["torn"] = []byte("{")
		time.Sleep(time.Hour)
		svc, _ = s.run(t)
		if got, want := shown(t, svc, id), "running gate-1:trial gate-2:waiting"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		s.says("gate-1", id, area.UpdateConfirmed, "")
		if got := s.ordered(); got != "gate-2" {
			t.Errorf("it orders %q", got)
		}
	})
}

func TestStartIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		svc, _ := s.run(t)
		no := area.Errorf(area.CodeForbidden, "not here")
		may := func(in area.Name) error {
			if in == "south" {
				return no
			}
			return nil
		}
		for _, c := range []struct {
			name string
			to   To
			want area.Code
		}{
			{"to nobody", To{}, area.CodeInvalid},
			{"to two", To{All: true, Area: ptr[area.Name]("north")}, area.CodeInvalid},
			{"to nobody known", To{Device: ptr[area.DeviceID]("gate-9")}, area.CodeUnknownDevice},
			{"to a sensor", To{Device: ptr[area.DeviceID]("hall")}, area.CodeUnknownDevice},
			{"to an area without players", To{Area: ptr[area.Name]("west")}, area.CodeUnknownArea},
			{"where he may not", To{Area: ptr[area.Name]("south")}, area.CodeForbidden},
			{"everywhere, where he may not everywhere", To{All: true}, area.CodeForbidden},
		} {
			if _, err := svc.Start(t.Context(), Request{To: c.to}, "ann", may); area.CodeOf(err) != c.want {
				t.Errorf("%s: %v, want %s", c.name, err, c.want)
			}
		}
		for _, version := range []string{"banana", "1.4.0", "v1.4.0.1", "v", "v1.4.0-" + strings.Repeat("a", 128)} {
			if _, err := svc.Start(t.Context(), Request{To: To{Device: ptr[area.DeviceID]("gate-1")}, Version: version}, "ann", nil); area.CodeOf(err) != area.CodeInvalid {
				t.Errorf("to version %s: %v", version, err)
			}
		}
		s.table.fail = errors.New("no disk")
		if _, err := svc.Start(t.Context(), Request{To: To{All: true}}, "ann", nil); !errors.Is(err, s.table.fail) || len(svc.List()) != 0 {
			t.Errorf("what is not on the disk: %v, %v", err, svc.List())
		}
		s.table.fail = nil
		for range mostRunning {
			start(t, svc, To{Area: ptr[area.Name]("north")})
		}
		if _, err := svc.Start(t.Context(), Request{To: To{All: true}}, "ann", nil); area.CodeOf(err) != area.CodeDegraded {
			t.Errorf("one too many: %v", err)
		}
	})
}

// No more than 64 are kept, the newest.
func TestKeptAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite()
		svc, _ := s.run(t)
		for range mostKept + 10 {
			id := start(t, svc, To{Device: ptr[area.DeviceID]("gate-1")})
			synctest.Wait()
			s.says("gate-1", id, area.UpdateConfirmed, "")
			time.Sleep(time.Millisecond)
		}
		if n := len(svc.List()); n != mostKept || len(s.table.rows) != n {
			t.Errorf("%d are kept, %d on the disk", n, len(s.table.rows))
		}
	})
}

func ptr[T any](v T) *T { return &v }
