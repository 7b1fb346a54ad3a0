package broker

import "slices"

// replayWindow is how many messages of a queue that waited are on their way to
// a client at once, where its own Receive Maximum is not lower. Without it a
// long queue overruns the output of a client that reads well (BROKER.md §5).
const replayWindow = 256

// window says which QoS 1 and 2 messages may go out now. It holds no bytes: a
// message that has to wait stays where the library keeps it, and only its
// packet id stands in the queue, which is bounded by there being 65,535 of them
// and before that by Config.MaxQueue; what overflows that is dropped by the
// library and counted (Stats.DroppedQueued). QoS 0 is not held up.
//
// A client of MQTT 5 never has more unacknowledged on a connection than it
// allowed (row 17). While a queue is replayed no client has more than
// replayWindow. Order is that of arrival; nothing passes what waits.
//
// It is a plain structure: link guards it, and tells it what happens.
type window struct {
	most      int // Receive Maximum
	ids       map[uint16]idState
	waiting   []uint16
	first     int      // of waiting: what comes before it has gone
	open      int      // on their way and not acknowledged, those called included
	called    int      // called, and not passed yet
	replaying bool     // the session's queue has not been read yet: see replay
	late      []uint16 // what came live meanwhile, most of it in the queue too
	suspect   int      // so many live messages may be in the queue as well
}

// idState says what has become of the message of a packet id.
type idState uint8

const (
	idBefore  idState = 1 << iota // was sent on an earlier connection of the session
	idSent                        // was sent on this one, and is not acknowledged
	idWaiting                     // stands in the queue
	idCalled                      // its turn has come: the next packet of the id is to pass
)

// verdict is what happens to a PUBLISH.
type verdict uint8

const (
	verdictPass verdict = iota
	verdictDrop         // it waits, or is a copy of one that went out
	verdictAsk          // pass it if the library still knows the message
)

// offer is called with each PUBLISH of QoS 1 and 2. Shut says that nothing may
// go out yet.
func (w *window) offer(id uint16, shut bool) verdict {
	if w.replaying {
		w.late = append(w.late, id)
		return verdictDrop
	}
	if w.ids == nil {
		w.ids = map[uint16]idState{}
	}
	st := w.ids[id]
	if st&idCalled != 0 {
		w.called--
		w.ids[id] = st&^idCalled | idSent
		return verdictPass
	}
	suspect := w.suspect > 0
	if suspect {
		w.suspect--
	}
	switch {
	case st&idWaiting != 0, st&idSent != 0 && suspect:
		return verdictDrop
	case shut || w.busy() || !w.fits(w.most):
		w.wait(id, 0)
		return verdictDrop
	}
	if st&idSent == 0 { // else the library gave up the message, and the client will too
		w.open++
	}
	w.ids[id] = idSent
	if suspect {
		return verdictAsk
	}
	return verdictPass
}

func (w *window) wait(id uint16, st idState) {
	w.ids[id] = st | idWaiting
	w.waiting = append(w.waiting, id)
}

// begin is called before the connection takes over a session, with what earlier
// connections of it did. Nothing passes until replay.
func (w *window) begin(old map[uint16]idState) {
	w.replaying = true
	for id, st := range old {
		if st&(idSent|idBefore) == 0 {
			continue
		}
		if w.ids == nil {
			w.ids = map[uint16]idState{}
		}
		w.ids[id] = idBefore
	}
}

// replay is called with the session's queue. Up to so many live messages may be
// in it and still come.
func (w *window) replay(queue []uint16, live int) {
	if w.ids == nil {
		w.ids = make(map[uint16]idState, len(queue))
	}
	for _, id := range slices.Concat(queue, w.late) {
		if st := w.ids[id]; st&idWaiting == 0 {
			w.wait(id, st)
		}
	}
	if w.busy() {
		w.suspect = live
	}
	w.replaying, w.late = false, nil
}

// busy tells whether something waits that a new message must not pass.
func (w *window) busy() bool { return w.first < len(w.waiting) || w.called > 0 }

func (w *window) fits(most int) bool { return w.open < most }

// idle tells whether nothing waits, and there is place for more that can wait.
func (w *window) idle() bool {
	return !w.replaying && !w.busy() && w.fits(min(w.most, replayWindow))
}

// call answers the next message whose turn it is. It is to be sent now; if that
// cannot be, forget it.
func (w *window) call(room bool) (id uint16, ok bool) {
	if w.first == len(w.waiting) {
		w.waiting, w.first = nil, 0
		return 0, false
	}
	if w.replaying || !room || !w.fits(min(w.most, replayWindow)) {
		return 0, false
	}
	id = w.waiting[w.first]
	w.first++
	if w.first >= replayWindow && w.first >= len(w.waiting)/2 { // a queue that never ends must not grow
		w.waiting, w.first = w.waiting[:copy(w.waiting, w.waiting[w.first:])], 0
	}
	w.ids[id] = w.ids[id]&^idWaiting | idCalled
	w.open++
	w.called++
	return id, true
}

// forget is called when a message has been acknowledged, or is not to be sent
// after all.
func (w *window) forget(id uint16) {
	st, ok := w.ids[id]
	if !ok || st&idWaiting != 0 {
		return
	}
	if st&idCalled != 0 {
		w.called--
	}
	if st&(idCalled|idSent) != 0 {
		w.open--
	}
	delete(w.ids, id)
}

// sentBefore tells whether a message that passes is one that the client may
// have seen, which is what the DUP flag means.
func (w *window) sentBefore(id uint16) bool { return w.ids[id]&idBefore != 0 }
