package external

import (
	"context"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// sendWindow is how many messages may be on their way to the broker.
const sendWindow = 64

// overhead is what a packet has beside topic and payload, at most.
const overhead = 512

// outgoing is a message to be sent.
type outgoing struct {
	topic       string
	payload     []byte
	qos         byte
	retain      bool
	correlation []byte
	user        string // value of [fromProperty]; empty: none
}

func (m outgoing) size() int { return len(m.topic) + len(m.payload) }

// source hands out what is to be sent, oldest first. It is safe for concurrent
// use, and its methods do not block.
type source interface {
	next() (seq uint64, m outgoing, ok bool) // the oldest that was not handed out
	done(seq uint64)                         // the broker has it, or will never take it
	rewind(to uint64)                        // what is not done is handed out again, from there on
	wake() <-chan struct{}                   // says that there may be a next one
}

// underway is a message whose acknowledgement is awaited.
type underway struct {
	seq uint64
	ack chan packets.ControlPacket
}

// send sends what the source hands out. Where the broker still has our session,
// the library sends again what was not acknowledged, under the number that it had;
// where it has not, the source begins with the oldest that is not done.
func (l *link) send(ctx context.Context) {
	var at *attached
	var window []underway
	for ctx.Err() == nil {
		var first <-chan packets.ControlPacket
		var more <-chan struct{}
		if len(window) > 0 {
			first = window[0].ack
		}
		if at != nil && len(window) < at.window {
			more = l.source.wake()
		}
		select {
		case <-ctx.Done():
			return
		case <-l.turn:
			if at = l.current(); at == nil {
				continue
			}
			if l.anew.Swap(false) {
				window = nil
				l.source.rewind(0)
				if l.fresh != nil {
					l.fresh()
				}
			}
		case p := <-first:
			l.acknowledged(p)
			l.source.done(window[0].seq)
			window = window[1:]
		case <-more:
		}
		for at != nil && len(window) < at.window {
			seq, m, ok := l.source.next()
			if !ok {
				break
			}
			u, sent := l.put(ctx, at, seq, m)
			if !sent {
				at = nil // until there is another connection
				break
			}
			if u.ack != nil {
				window = append(window, u)
			}
		}
	}
}

func (l *link) acknowledged(p packets.ControlPacket) {
	code := byte(0)
	switch c := p.Content.(type) {
	case *packets.Puback:
		code = c.ReasonCode
	case *packets.Pubrec:
		code = c.ReasonCode
	case *packets.Pubcomp:
		code = c.ReasonCode
	}
	if code < 0x80 {
		l.sent.Add(1)
		return
	}
	l.refused.Add(1)
	l.log.Warn("outside broker refuses a message", "node", l.srv.ClientID, "n", code)
}

// put sends one message. sent is false where the connection is lost; the message
// is then handed out again, or goes with the session. The gate is held, so that
// the next connection begins before it or after it.
func (l *link) put(ctx context.Context, a *attached, seq uint64, m outgoing) (u underway, sent bool) {
	if a.most > 0 && m.size()+overhead > a.most {
		l.unfit.Add(1)
		l.log.Warn("message is too long for the outside broker", "topic", m.topic, "n", m.size())
		l.source.done(seq)
		return u, true
	}
	p := (&paho.Publish{QoS: min(m.qos, a.qos), Retain: m.retain && a.retain, Topic: m.topic, Payload: m.payload, Properties: m.properties()}).Packet()
	if p.QoS == 0 {
		_, err := p.WriteTo(a.socket)
		l.source.done(seq) // of QoS 0 nothing is promised
		if err == nil {
			l.sent.Add(1)
		}
		return u, err == nil
	}
	l.gate.Lock()
	defer l.gate.Unlock()
	if l.current() != a {
		l.source.rewind(seq)
		return u, false
	}
	u = underway{seq: seq, ack: make(chan packets.ControlPacket, 1)}
	if err := l.state.AddToSession(ctx, p, u.ack); err != nil {
		l.source.rewind(seq)
		return u, false
	}
	_, _ = p.WriteTo(a.socket) // the session has it: what is lost goes with the next connection
	return u, true
}

func (m outgoing) properties() *paho.PublishProperties {
	p := &paho.PublishProperties{CorrelationData: m.correlation}
	if m.user != "" {
		p.User = paho.UserProperties{{Key: fromProperty, Value: m.user}}
	}
	return p
}

// fromProperty is the user property that says which hub and which of its
// publishers a message is of.
const fromProperty = "tacet-from"
