package rollout

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// stored is a rollout in the table.
type stored struct {
	Rollout
	Coordinator string `json:"coordinator,omitempty"`
}

func encode(r Rollout) ([]byte, error) { return json.Marshal(stored{r, r.coordinator}) }

func decode(id string, value []byte) (*Rollout, error) {
	var x stored
	if err := json.Unmarshal(value, &x); err != nil {
		return nil, err
	}
	if x.ID != id {
		return nil, errors.New("it is another's")
	}
	x.coordinator, x.raw = x.Coordinator, slices.Clone(value)
	return &x.Rollout, nil
}

// put puts a rollout in its place, or in that of an earlier state of it.
func (b *book) put(r *Rollout) {
	i, there := slices.BinarySearchFunc(b.list, r.ID, func(x *Rollout, id string) int { return cmp.Compare(x.ID, id) })
	if there {
		b.list[i] = r
		return
	}
	b.list = slices.Insert(b.list, i, r)
}

// Changed takes in what another node has made of a rollout, which is kept already; nil:
// it is forgotten. What cannot be read changes nothing, and the log has it as an error.
func (s *Service) Changed(id string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(id, value)
	s.poke()
}

// replace puts what the table has in the place of what is here; the caller holds the
// lock.
func (s *Service) replace(id string, value []byte) {
	was := s.find(id)
	switch {
	case value == nil:
		s.book.list = slices.DeleteFunc(s.book.list, func(r *Rollout) bool { return r.ID == id })
		return
	case was != nil && bytes.Equal(was.raw, value):
		return
	}
	r, err := decode(id, value)
	if err != nil {
		s.log.Error("stored rollout cannot be read", "rule", id, "err", err)
		return
	}
	if was != nil && len(was.Devices) == len(r.Devices) {
		for i := range r.Devices {
			r.Devices[i].sent = was.Devices[i].sent
		}
	}
	s.book.put(r)
}

// inOffice tells whether this node carries out rollouts. When it begins to, each device
// is given its time anew, and what it said last counts.
func (s *Service) inOffice() bool {
	mine, now := s.Mine(), s.Now()
	s.mu.Lock()
	var active []area.DeviceID
	switch {
	case !mine:
		s.began = time.Time{}
		clear(s.heard)
	case s.began.IsZero():
		s.began = now
		for _, r := range s.book.list {
			active = append(active, r.renew(now)...)
		}
	}
	s.mu.Unlock()
	s.recall(active)
	return mine
}

// renew begins the patience with the devices that are at it anew, and answers them.
func (r *Rollout) renew(now time.Time) (active []area.DeviceID) {
	for i := range r.Devices {
		if d := &r.Devices[i]; d.active() {
			d.At = area.At(now)
			active = append(active, d.Device)
		}
	}
	return active
}

// recall takes in what devices have said last.
func (s *Service) recall(list []area.DeviceID) {
	for _, id := range list {
		for _, m := range s.Retained.Retained(area.StatusTopic(id), 1) {
			s.listen(id, m.Payload)
		}
	}
}

// takeAll makes this node the coordinator of every rollout that has not ended, of those
// that another node has where others says so. Only who
// has all of them orders anybody, so that two never order in one area: each change is
// made where the table is as it was, and whoever takes a rollout sees what was ordered.
func (s *Service) takeAll(ctx context.Context, others bool) bool {
	for _, r := range s.List() {
		switch {
		case r.EndedAt != nil || r.coordinator == s.Node:
			continue
		case r.coordinator != "" && !others:
			return false
		}
		r.coordinator = s.Node
		switch kept, err := s.keep(ctx, r); {
		case err != nil:
			s.log.Debug("rollout not taken over", "rule", r.ID, "err", err)
			return false
		case kept == nil:
			return false // another node was faster: the next look tells
		default:
			s.log.Info("rollout taken over", "rule", r.ID, "node", s.Node)
			r.raw = kept
		}
		s.recall(r.renew(s.Now()))
		s.mu.Lock()
		s.book.put(&r)
		s.mu.Unlock()
	}
	return true
}

// keep writes a rollout where the table has it as it was, and answers what it has then;
// nil, and no error: it has changed meanwhile, and what it is now is in the book.
func (s *Service) keep(ctx context.Context, r Rollout) (kept []byte, err error) {
	b, err := encode(r)
	if err != nil {
		return nil, err
	}
	found, done, err := s.Table.PutIf(ctx, r.ID, r.raw, b)
	switch {
	case err != nil:
		return nil, err
	case done:
		return b, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replace(r.ID, found)
	return nil, nil
}

// saveTime is how long a change may take to be kept.
const saveTime = 5 * time.Second

// save keeps a change, and tells whether it counts. While the nodes cannot be reached it
// does not: what is here is again what it was, and is begun anew when they can. Where the
// disk alone does not take it it does: after a restart the rollout goes on from an older
// state, which asks devices again for what they have done.
func (s *Service) save(r Rollout) bool {
	ctx, stop := context.WithTimeout(context.Background(), saveTime)
	defer stop()
	kept, err := s.keep(ctx, r)
	switch {
	case area.CodeOf(err) == area.CodeDegraded || errors.Is(err, context.DeadlineExceeded):
		s.log.Warn("rollout waits for the other nodes", "rule", r.ID, "err", err)
		s.back(r)
		return false
	case err != nil:
		s.unkept(r, err)
		return true
	case kept == nil:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if is := s.find(r.ID); is != nil && bytes.Equal(is.raw, r.raw) {
		is.raw = kept
	}
	return true
}

// back makes a rollout again what the table has, and has this node begin anew.
func (s *Service) back(r Rollout) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Time{}
	if was, err := decode(r.ID, r.raw); err == nil {
		s.book.put(was)
	}
}

func (s *Service) unkept(r Rollout, err error) {
	s.count.unkept.Add(1)
	s.log.Error("rollout not kept", "rule", r.ID, "err", err)
}
