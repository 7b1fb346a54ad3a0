package broker

import (
	"bytes"
	"sync/atomic"
	"time"
	"unicode/utf8"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/tacet-hub/tacet/broker/area"
)

// The short way in, for most of what sensors send: a message of QoS 0 that is not
// retained, without properties, on a topic that its client may write and no gate
// is asked about. The library would read it byte by byte, copy it twice and hand
// it on in a struct of half a kilobyte, a dozen times by value. Here it is read
// where it lies and goes to its subscribers, by the same rules: what is not as
// plain as that, or is to be refused, is left to the library and the hooks.
//
// The library asks for bytes when it has done everything about the packets that it
// has had, and is never given more than the packet in hand. So the two ways never
// overtake each other.

// plainPublish is the first byte of such a message: no DUP, no QoS, no RETAIN.
const plainPublish = packets.Publish << 4

// lastTopic is where a connection published last by the short way: a sensor that
// repeats its topic has it checked once. It belongs to the connection's goroutine.
type lastTopic struct {
	bare string   // as the client names it; empty: there is none
	full string   // with the mountpoint of its tenant
	gate *[]*gate // none of which is asked about it
}

// short takes what comes by the short way, and waits for more, until something
// else comes; that is then what the input begins with.
func (l *link) short() error {
	cl := l.client.Load()
	for {
		if l.in.buf == nil {
			if err := l.in.fill(); err != nil {
				return err
			}
		}
		if l.takePlain(cl); len(l.in.rest) > 0 {
			return nil
		}
		l.in.free()
		if err := l.out.rest(); err != nil {
			l.failed(err)
			return err
		}
		if l.alive > 0 {
			if err := l.out.readDeadline(time.Now().Add(l.alive)); err != nil {
				return err
			}
		}
	}
}

// takePlain takes the messages with which the input begins. Who subscribes to a
// topic is asked once for all in a row.
func (l *link) takePlain(cl *mqtt.Client) {
	var who *audience
	var on string
	info := l.b.server.Info
	for !cl.Closed() {
		p, n := l.plain(cl)
		if n == 0 {
			break
		}
		if l.brake.pass(packets.Publish); who == nil || on != l.last.full {
			on = l.last.full
			who = l.b.audienceOf(on)
		}
		atomic.AddInt64(&info.PacketsReceived, 1)
		atomic.AddInt64(&info.MessagesReceived, 1)
		atomic.AddInt64(&info.BytesReceived, int64(n))
		l.in.rest = l.in.rest[n:]
		l.b.spreadPlain(cl, l, who, p)
	}
}

// plain answers the payload of the message that the input begins with, and how
// long that is; 0 where it has to take the long way. Its topic is l.last.
func (l *link) plain(cl *mqtt.Client) (payload []byte, size int) {
	p := l.in.rest
	if len(p) == 0 || p[0] != plainPublish {
		return nil, 0
	}
	head, size := measure(p)
	if size < head+2 || size > l.sizes.most {
		return nil, 0
	}
	body := p[head:size]
	end := 2 + int(body[0])<<8 + int(body[1])
	if end == 2 || end > len(body) || !l.knows(body[2:end]) {
		return nil, 0
	}
	if payload = body[end:]; cl.Properties.ProtocolVersion == 5 {
		if len(payload) == 0 || payload[0] != 0 { // how long the properties are
			return nil, 0
		}
		payload = payload[1:]
	}
	return payload, size
}

// knows tells whether the client may publish on a topic by the short way, and
// makes that the last one.
func (l *link) knows(topic []byte) bool {
	gates := l.b.gates.all.Load()
	if string(topic) == l.last.bare && gates == l.last.gate {
		return true
	}
	bare := string(topic)
	if bare[0] == '$' || !utf8.ValidString(bare) || !l.b.validTopic(bare) || reservedTopic(bare) {
		return false
	}
	full := bare
	if id := l.who.Load(); id != nil {
		if !id.access.MayPublish(bare) {
			return false
		}
		full = id.mount + bare
	}
	if gates != nil {
		for _, g := range *gates {
			if area.MatchFilter(g.filter, full) {
				return false
			}
		}
	}
	l.last = lastTopic{bare, full, gates}
	return true
}

// spreadPlain is spread for a message that came by the short way; payload is the
// input's.
func (b *Broker) spreadPlain(cl *mqtt.Client, l *link, who *audience, payload []byte) {
	if len(who.inline) > 0 {
		m := area.Message{Topic: l.last.full, Payload: bytes.Clone(payload), From: cl.ID, Conn: l.num, User: l.tag[0].Filter}
		for _, s := range who.inline {
			s.hand(m)
		}
	}
	if len(who.members)+len(who.shared)+len(who.away.Nodes)+len(who.away.Shares) == 0 {
		return
	}
	b.fanOut(who, &packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: l.last.full, Payload: payload,
		Origin: cl.ID, Created: b.lastMsg.Add(1), Filters: l.tag, ProtocolVersion: cl.Properties.ProtocolVersion,
	}, mark{})
}
