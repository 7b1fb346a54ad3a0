package broker

import (
	"encoding/binary"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A client of MQTT 5 may say how large a packet it takes. The library does not
// send a larger one, and keeps a message of QoS 1 or 2 for ever that it has not
// sent. Here it counts as delivered [MQTT-3.1.2-25], and an answer loses its
// properties, which are words for people [MQTT-3.4.2-2].

// takeMaximum moves the limit from the library to l.
func (l *link) takeMaximum(cl *mqtt.Client) {
	l.most = int(cl.Properties.Props.MaximumPacketSize)
	cl.Properties.Props.MaximumPacketSize = 0
}

// takeProblems moves a client's wish for no problem information from the library
// to l: the library would leave the user properties out of messages as well,
// which are the publisher's and no problem (MQTT 5 §3.1.2.11.7). paho.golang
// asks for none unless told otherwise.
func (l *link) takeProblems(cl *mqtt.Client) {
	p := &cl.Properties.Props
	l.terse = p.RequestProblemInfoFlag && p.RequestProblemInfo == 0
	p.RequestProblemInfoFlag = false
}

// tooLong tells whether an answer must lose its properties.
func (l *link) tooLong(f []byte) bool {
	return l.most > 0 && len(f) > l.most || l.terse && acknowledges(kindOf(f)) || l.terse && kindOf(f) == packets.Pubrel
}

// tooLargeToSend drops a message as if it had been delivered.
func (l *link) tooLargeToSend(f []byte, head int) {
	l.b.count.oversize.Add(1)
	l.b.notSent(len(f))
	at := publishID(f, head)
	if at == 0 {
		return
	}
	id, cl := idAt(f, at), l.client.Load()
	if cl.State.Inflight.Delete(id) {
		atomic.AddInt64(&l.b.server.Info.Inflight, -1)
	}
	l.window.forget(id)
	l.b.work.Go(func() { // not from here: the library holds its lock, and we hold ours
		l.b.kept.through(cl, id)
		l.pump()
	})
}

// shorten takes the properties out of an answer or a DISCONNECT.
func shorten(f []byte, head int) []byte {
	at := map[byte]int{ // where they begin
		packets.Puback: 3, packets.Pubrec: 3, packets.Pubrel: 3, packets.Pubcomp: 3,
		packets.Suback: 2, packets.Unsuback: 2, packets.Disconnect: 1,
	}[kindOf(f)] + head
	if at == head || at >= len(f) {
		return f
	}
	size, n := binary.Uvarint(f[at:])
	if n <= 0 || at+n+int(size) > len(f) {
		return f
	}
	f[at] = 0
	return setLength(append(f[:at+1], f[at+n+int(size):]...), head)
}
