package peers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
)

// look takes in what devices said. One that the roster does not know yet waits:
// the roster hears of it at the same time.
func (s *Service) look(ctx context.Context) {
	for d, is := range s.news() {
		if _, known := s.areas.Player(d); known {
			s.settle(d)
			s.place(ctx, d, is)
			s.stands(d)
		}
	}
	for d := range s.revocations() {
		s.expel(ctx, d)
	}
}

func (s *Service) news() map[area.DeviceID]said {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := map[area.DeviceID]said{}
	for d, is := range s.said {
		if is.unsent {
			list[d] = is
		}
	}
	return list
}

// stands tells how the members of a device's area stand, of whom it has said
// something.
func (s *Service) stands(d area.DeviceID) {
	for a, k := range s.rostersOf(d) {
		if of, ok := s.areas.Describe(a); ok {
			s.told(a, k.topology(of.Topology), s.peering(k))
		}
	}
}

func (s *Service) settle(d area.DeviceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is := s.said[d]
	is.unsent = false
	s.said[d] = is
}

func (s *Service) revocations() map[area.DeviceID]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.revoke
	s.revoke = map[area.DeviceID]bool{}
	return list
}

// lookAll looks at every area that has a book, and at who is where. It answers
// false where something could not be kept.
func (s *Service) lookAll(ctx context.Context) bool {
	well := true
	s.mu.Lock()
	all := maps.Clone(s.said)
	names := slices.Sorted(maps.Keys(s.books))
	s.mu.Unlock()
	for d, is := range all {
		if is.peer != nil {
			well = s.place(ctx, d, is) && well
		}
	}
	for _, a := range names {
		of, ok := s.areas.Describe(a)
		if !ok || reflect.DeepEqual(of, s.like[a]) {
			continue
		}
		k := s.book(a)
		if s.keep(ctx, a, of, k, k) != nil {
			well = false
			continue
		}
		s.like[a] = of
	}
	return well
}

// place puts a device into the roster of the area that it is in, and takes it off
// the others. It answers false where that could not be kept.
func (s *Service) place(ctx context.Context, d area.DeviceID, is said) bool {
	at, known := s.areas.Player(d)
	if !known {
		return true
	}
	well := true
	for a, k := range s.rostersOf(d) {
		if a != at.Area || is.peer == nil {
			well = s.change(ctx, a, k, func(k *book) error { k.leave(d); return nil }) && well
		}
	}
	if is.peer == nil || at.Area == "" {
		return well
	}
	k := s.book(at.Area)
	before := k.Rev
	if !k.has(d, is.mid, *is.peer) {
		well = s.change(ctx, at.Area, k, func(k *book) error { return k.join(d, is.mid, *is.peer) }) && well
	}
	if now := s.book(at.Area); is.unsent && now.Rev == before && is.peer.Rev != now.Rev { // else the change was sent to all
		if of, ok := s.areas.Describe(at.Area); ok && now.Rev != 0 {
			s.send(ctx, now.document(of), d)
		}
	}
	return well
}

// rostersOf are the areas where the device is a member.
func (s *Service) rostersOf(d area.DeviceID) map[area.Name]book {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := map[area.Name]book{}
	for a, k := range s.books {
		if _, is := k.member(d); is {
			list[a] = k
		}
	}
	return list
}

// expel takes a device off every roster, with another key for those who stay.
func (s *Service) expel(ctx context.Context, d area.DeviceID) {
	s.mu.Lock()
	delete(s.said, d)
	s.mu.Unlock()
	for a, k := range s.rostersOf(d) {
		s.log.Warn("member lost its credential, the area has a new key", "area", a, "device", d)
		if !s.change(ctx, a, k, func(k *book) error { k.leave(d); k.Key = newKey(); return nil }) {
			s.mu.Lock()
			s.revoke[d] = true
			s.mu.Unlock()
		}
	}
}

func (s *Service) change(ctx context.Context, a area.Name, was book, how func(*book) error) bool {
	of, ok := s.areas.Describe(a)
	if !ok {
		return true
	}
	k := was
	switch err := how(&k); {
	case errors.Is(err, errFull):
		s.count.refused.Add(1)
		if !s.full[a] {
			s.log.Warn("area has no room for one more member", "area", a, "n", area.MostMembers)
		}
		s.full[a] = true
	case err != nil:
		s.log.Warn("roster of an area is not changed", "area", a, "err", err)
	}
	return s.keep(ctx, a, of, was, k) == nil
}

// keep makes a book durable that has changed, or whose area has, tells what it comes
// to, and then sends the new document to all members: who has read it finds the area
// to be as it says. It is the one way to change a book.
func (s *Service) keep(ctx context.Context, a area.Name, of Area, was, k book) error {
	if len(k.Key) == 0 {
		k.Key = newKey()
	}
	revised := k.revise(of, s.now().Unix())
	if n := len(of.Peers.People); revised && n > area.MostPeople {
		s.log.Warn("not all who may announce in the area can sign in at its leader", "area", a, "n", n-area.MostPeople)
	}
	told := func() { s.told(a, k.topology(of.Topology), s.peering(k)) }
	if !revised && reflect.DeepEqual(was, k) {
		told()
		return nil
	}
	if err := s.table.Put(ctx, string(a), k.encode()); err != nil {
		told()
		s.count.failed.Add(1)
		s.log.Warn("roster of an area is not kept", "area", a, "err", err)
		return fmt.Errorf("roster of area %s: %w", a, err)
	}
	s.mu.Lock()
	s.books[a] = k
	s.mu.Unlock()
	told()
	if revised {
		p := k.document(of)
		for _, m := range p.Members {
			s.send(ctx, p, m.Device)
		}
	}
	return nil
}

func (s *Service) send(ctx context.Context, p area.Peers, d area.DeviceID) {
	err := s.bus.Publish(ctx, area.Message{Topic: area.PeersTopic(d), Payload: p.Encode(), QoS: 1, From: area.FromArbiter})
	if err != nil {
		s.log.Warn("roster of an area is not sent", "area", p.Area, "device", d, "err", err)
		return
	}
	s.count.sent.Add(1)
}
