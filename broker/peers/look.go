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
		p, known := s.areas.Player(d)
		if known && (!is.old || p.Presence == area.Online && p.Boot == is.boot) {
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
	is.unsent, is.old = false, false
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
	well := s.confirmAll(ctx)
	s.mu.Lock()
	all := maps.Clone(s.said)
	names := slices.Sorted(maps.Keys(s.books))
	s.mu.Unlock()
	for d, is := range all {
		if is.peer != nil && !is.old {
			well = s.place(ctx, d, is) && well
		}
	}
	for d := range s.revocations() {
		well = s.expel(ctx, d) && well
	}
	for _, a := range names {
		if !s.owns(a) {
			delete(s.like, a)
			continue
		}
		of, ok := s.areas.Describe(a)
		if !ok || reflect.DeepEqual(of, s.like[a]) {
			continue
		}
		if s.alter(ctx, a, of, func(*book) error { return nil }) != nil {
			well = false
			continue
		}
		s.like[a] = of
	}
	return well
}

// place puts a device into the roster of the area that it is in, and takes it off
// the others, where those are this node's. It answers false where that could not be
// kept.
func (s *Service) place(ctx context.Context, d area.DeviceID, is said) bool {
	at, known := s.areas.Player(d)
	if !known {
		return true
	}
	well := true
	for a := range s.rostersOf(d) {
		if (a != at.Area || is.peer == nil) && s.owns(a) {
			well = s.change(ctx, a, func(k *book) error { k.leave(d); return nil }) && well
		}
	}
	if is.peer == nil || at.Area == "" {
		return well
	}
	before := s.book(at.Area)
	if s.owns(at.Area) && !before.has(d, is.mid, *is.peer) {
		well = s.change(ctx, at.Area, func(k *book) error { return k.join(d, is.mid, *is.peer) }) && well
	}
	if now := s.book(at.Area); is.unsent && now.Rev == before.Rev && is.peer.Rev != now.Rev && s.sentTo(d) != now.Rev { // else the change was sent to all
		s.send(ctx, at.Area, now, d)
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

// expel takes a device off every roster, with another key for those who stay. Any
// node may do it: the first that does has it done. It answers false where that could
// not be kept, which is tried again.
func (s *Service) expel(ctx context.Context, d area.DeviceID) bool {
	s.mu.Lock()
	delete(s.said, d)
	s.mu.Unlock()
	well := true
	for a := range s.rostersOf(d) {
		out := func(k *book) error {
			if _, is := k.member(d); is {
				k.leave(d)
				k.Key = newKey()
			}
			return nil
		}
		if s.change(ctx, a, out) {
			s.log.Warn("member lost its credential, the area has a new key", "area", a, "device", d)
			continue
		}
		well = false
		s.mu.Lock()
		s.revoke[d] = true
		s.mu.Unlock()
	}
	return well
}

// change changes a book; how may be called more than once, each time on another one. It
// answers false where that could not be kept.
func (s *Service) change(ctx context.Context, a area.Name, how func(*book) error) bool {
	of, ok := s.areas.Describe(a)
	return !ok || s.alter(ctx, a, of, how) == nil
}

// mostTries bounds how often a change is made anew since another node was quicker.
const mostTries = 4

func (s *Service) alter(ctx context.Context, a area.Name, of Area, how func(*book) error) (err error) {
	for range mostTries {
		was := s.book(a)
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
		if err = s.keep(ctx, a, of, was, k); !errors.Is(err, errElsewhere) {
			return err
		}
	}
	return err
}

// keep makes a book durable that has changed, or whose area has, tells what it comes
// to, and then sends the new document to all members: who has read it finds the area
// to be as it says. It is the one way to change a book. The error is errElsewhere where
// another node was quicker; what that made of it is taken in then.
func (s *Service) keep(ctx context.Context, a area.Name, of Area, was, k book) error {
	if len(k.Key) == 0 {
		k.Key = newKey()
	}
	revised := k.revise(of, s.now().Unix())
	if n := len(of.Peers.People); revised && n > area.MostPeople {
		s.log.Warn("not all who may announce in the area can sign in at its leader", "area", a, "n", n-area.MostPeople)
	}
	if !revised && reflect.DeepEqual(was, k) {
		s.stand(a, of)
		return nil
	}
	k.raw = k.encode()
	found, done, err := s.table.PutIf(ctx, string(a), was.raw, k.raw)
	switch {
	case err != nil:
		s.count.failed.Add(1)
		s.log.Warn("roster of an area is not kept", "area", a, "err", err)
		s.stand(a, of)
		return fmt.Errorf("roster of area %s: %w", a, err)
	case !done:
		s.take(ctx, a, found)
		return fmt.Errorf("roster of area %s: %w", a, errElsewhere)
	}
	s.set(a, k)
	s.stand(a, of)
	if revised {
		s.sendAll(ctx, a, k)
	}
	return nil
}

func (s *Service) set(a area.Name, k book) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.books[a] = k
}

// stand tells what the topology of an area comes to, and how its members stand.
func (s *Service) stand(a area.Name, of Area) {
	k := s.book(a)
	s.told(a, k.topology(of.Topology), s.peering(k))
}

func (s *Service) sentTo(d area.DeviceID) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said[d].sent
}

// sendAll sends the document to the members that this node sends to.
func (s *Service) sendAll(ctx context.Context, a area.Name, k book) {
	for _, e := range k.Entries {
		s.send(ctx, a, k, e.Device)
	}
}

// send sends the document to a device, if it is a member.
func (s *Service) send(ctx context.Context, a area.Name, k book, d area.DeviceID) {
	if _, is := k.member(d); !is || len(k.Doc) == 0 || !s.areas.Here(d) {
		return
	}
	err := s.bus.Publish(ctx, area.Message{Topic: area.PeersTopic(d), Payload: k.Doc, QoS: 1, From: area.FromArbiter})
	if err != nil {
		s.log.Warn("roster of an area is not sent", "area", a, "device", d, "err", err)
		return
	}
	s.count.sent.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if is, ok := s.said[d]; ok {
		is.sent = k.Rev
		s.said[d] = is
	}
}
