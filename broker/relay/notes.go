package relay

import (
	"context"
	"encoding/binary"
	"time"
)

// What parts of the hub say to those of other nodes beside MQTT: news of a state, each
// a note on a topic, which goes to the nodes alone that want the topic. Notes stay in
// order with the messages of their node, and are lost with them; while the wire is down
// they are dropped.

// OnNote has f called for each note of another node, before Run. It is called by one
// goroutine and must not block; the note may be kept.
func (r *Relay) OnNote(f func(node, topic string, note []byte)) { r.onNote = f }

// Want says that one more, or one less, here wants the notes on a topic. It does not
// block, nor call back.
func (r *Relay) Want(topic string, on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if on {
		r.notes[topic]++
	} else {
		r.notes[topic]--
	}
	if r.notes[topic] > 0 {
		r.own.set(key(aboutNote, topic), "")
	} else {
		delete(r.notes, topic)
		r.own.unset(key(aboutNote, topic))
	}
	r.nudge()
}

// Wanted tells whether another node wants, or may want, the notes on a topic.
func (r *Relay) Wanted(topic string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, p := range r.peers {
		if p.mayWantNotes(topic) {
			return true
		}
	}
	return false
}

func (p *peer) mayWantNotes(topic string) bool {
	_, wants := p.notes[topic]
	return wants || !p.told
}

// Say sends a note to the nodes that want its topic. It does not block; what the wire
// does not take is counted as lost.
func (r *Relay) Say(topic string, note []byte) {
	word := append(appendText([]byte{wordNote}, topic), note...)
	if r.tooLarge(word) {
		return
	}
	r.mu.RLock()
	var to []string
	for name, p := range r.peers {
		if p.mayWantNotes(topic) {
			to = append(to, name)
		}
	}
	r.mu.RUnlock()
	for _, node := range to {
		if r.up.Load() && r.wire.Send(node, word) == nil {
			r.count.notes.Add(1)
		} else {
			r.count.notesLost.Add(1)
		}
	}
}

func (r *Relay) heardNote(node string, b []byte) {
	in := reader{b: b}
	topic := in.text()
	if in.bad {
		r.malformed(node)
		return
	}
	r.count.notesHeard.Add(1)
	r.onNote(node, topic, in.b)
}

// awaitMost bounds how long [Relay.Await] blocks: once for a node that was killed.
const awaitMost = 5 * time.Second

// Await blocks until the other nodes know what is wanted here at the time of the call,
// notes and messages: what comes in at one of them after that comes here too, or is
// counted as lost. It does not wait for a node that does not answer within five seconds,
// not at all for one that has not since it was heard last, nor while the wire is down
// or ctx has ended.
func (r *Relay) Await(ctx context.Context) {
	probe, stop := context.WithTimeout(ctx, awaitMost)
	defer stop()
	r.mu.Lock()
	version := r.own.next()
	r.asked = max(r.asked, version)
	r.mu.Unlock()
	r.nudge()
	for {
		r.mu.RLock()
		late, news := r.behind(version), r.news
		r.mu.RUnlock()
		if len(late) == 0 || !r.up.Load() {
			return
		}
		select {
		case <-news:
		case <-probe.Done():
			for _, node := range late {
				r.muted(node, ctx.Err() == nil)
			}
			return
		}
	}
}

// behind are the nodes that answer and have not said that they know a version of our
// facts. mu is held.
func (r *Relay) behind(version uint64) (late []string) {
	for name, p := range r.peers {
		if p.knows < version && !p.mute {
			late = append(late, name)
		}
	}
	return late
}

// changed tells who waits to look again. mu is held.
func (r *Relay) changed() {
	close(r.news)
	r.news = make(chan struct{})
}

// check asks the nodes that were told what somebody waits for whether they know it.
func (r *Relay) check() {
	r.mu.Lock()
	var to []string
	for _, name := range r.behind(r.asked) {
		if p := r.peers[name]; p.sent >= r.asked && p.checked < r.asked {
			p.checked = p.sent
			to = append(to, name)
		}
	}
	r.mu.Unlock()
	for _, node := range to {
		_ = r.wire.Send(node, []byte{wordCheck}) // the next beat asks again
	}
}

// heardCheck answers which version of a node's facts is known here. It comes behind
// them.
func (r *Relay) heardCheck(node string) {
	r.mu.RLock()
	p := r.peers[node]
	known := p != nil && p.told
	var version uint64
	if known {
		version = p.version
	}
	r.mu.RUnlock()
	if known {
		_ = r.wire.Send(node, binary.AppendUvarint([]byte{wordKnown}, version))
	}
}

func (r *Relay) heardKnown(node string, b []byte) {
	version, n := binary.Uvarint(b)
	if n <= 0 || len(b) != n {
		r.malformed(node)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.peers[node]; p != nil && version <= r.own.version { // else it is of an earlier life of ours
		p.knows = max(p.knows, version)
		r.changed()
	}
}
