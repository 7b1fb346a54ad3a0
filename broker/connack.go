package broker

import (
	"encoding/binary"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// What CONNACK says in MQTT 5, besides what the library puts there (the session
// expiry where it is less than was asked for, an assigned client id, Receive
// Maximum, Server Keep Alive):
//
// Maximum Packet Size is Config.MaxPacketBytes. Clients that heed it, as
// Mosquitto's do, refuse a larger packet on their side and say so; those that do
// not, as paho.golang, run into DISCONNECT with the reason, as they would
// without. There are some that then drop a message and only log it: theirs is
// lost in either case, and the connection at least is not.
//
// Topic Alias Maximum is 0, which it would also be if left out.

// Property identifiers of CONNACK.
const (
	propTopicAliasMaximum = 0x22
	propMaximumPacketSize = 0x27
)

// connack passes the CONNACK, behind which packets may wait that the library
// has written too early.
func (l *link) connack(f []byte, head int) ([]byte, error) {
	if len(f) >= head+2 && f[head+1] >= packets.ErrUnspecifiedError.Code {
		l.out.says()
	} else if l.version() == 5 {
		f = l.welcome(f, head)
	}
	early := l.held.packets
	l.held.packets = nil
	if err := l.hold(l.held.after, f); err != nil {
		return nil, err
	}
	l.held.packets = append(l.held.packets, early...)
	return l.ripe()
}

// welcome adds our properties to a CONNACK. It is written anew: it grows.
func (l *link) welcome(f []byte, head int) []byte {
	size, n := binary.Uvarint(f[min(len(f), head+2):])
	if n <= 0 || head+2+n+int(size) != len(f) {
		return f
	}
	props := append([]byte{propTopicAliasMaximum, 0, 0, propMaximumPacketSize}, binary.BigEndian.AppendUint32(nil, uint32(l.b.cfg.MaxPacketBytes))...)
	props = append(props, f[head+2+n:]...)
	body := binary.AppendUvarint([]byte{f[head], f[head+1]}, uint64(len(props)))
	body = append(body, props...)
	return append(binary.AppendUvarint([]byte{f[0]}, uint64(len(body))), body...)
}

// keepAlive settles how long a client may be silent. One of MQTT 5 is told if
// that is less than it said; one of 3.1.1 cannot be, so its word stands, even if
// that is "for ever", and TCP finds out whether it is still there (row 7).
func (b *Broker) keepAlive(cl *mqtt.Client) time.Duration {
	most := uint16(b.cfg.MaxKeepAlive / time.Second)
	if cl.Properties.ProtocolVersion == 5 && (cl.State.Keepalive == 0 || cl.State.Keepalive > most) {
		cl.State.Keepalive, cl.State.ServerKeepalive = most, true
	}
	return time.Duration(cl.State.Keepalive) * time.Second * 3 / 2
}
