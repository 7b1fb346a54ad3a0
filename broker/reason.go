package broker

import (
	"sync/atomic"

	"github.com/mochi-mqtt/server/v2/packets"
)

// reason is why a connection, a subscription or a message was refused, or a
// message dropped. They are counted one by one ([Stats].Refused and
// [Stats].Dropped) and told to watchers by name.
type reason int

const (
	noReason reason = iota

	// Of connections.
	whyClientID    // the client id is too long, reserved, or malformed
	whyWill        // the topic of the will is malformed, or not the client's to write
	whyPassword    // wrong name, password, token or certificate
	whyOwner       // the client id belongs to somebody else
	whySource      // too many wrong passwords from this address
	whyAuth        // it could not be found out who it is
	whyConnections // Config.MaxConnections
	whyAddress     // Config.MaxPerAddr
	whySessions    // Config.MaxSessions
	whyHalfOpen    // made room for a newer one that had not said CONNECT either
	whySilent      // no CONNECT in time
	whyTLS         // the TLS handshake failed
	whyProxy       // no PROXY header, or a malformed one
	whyMalformed   // what came was no CONNECT of MQTT 3.1, 3.1.1 or 5, or not all of one
	whyTooLarge    // a packet over Config.MaxPacketBytes, or a CONNECT over MaxConnectBytes

	// Of messages and subscriptions.
	whyTopic         // malformed, or over a limit
	whyReserved      // only the hub writes there
	whyRights        // the client may not write or read there
	whyGate          // a gate refused it
	whyRetained      // Config.MaxRetained or MaxRetainedBytes
	whyStore         // Config.MaxRetainedTotal: of all clients together
	whySubscriptions // Config.MaxSubscriptions
	whyDisk          // it could not be made durable

	// Of messages that were dropped.
	whySlow       // the client was cut since it did not read; a cut counts as one
	whyPending    // the client's queue inside the library was full
	whyQueue      // Config.MaxQueue
	whyQueueBytes // Config.MaxQueueBytes
	whyPacketIDs  // no packet id was free

	reasonCount
)

var reasonNames = [reasonCount]string{
	whyClientID: "client_id", whyWill: "will", whyPassword: "password", whyOwner: "owner", whySource: "source", whyAuth: "auth",
	whyConnections: "connections", whyAddress: "address", whySessions: "sessions", whyHalfOpen: "half_open", whySilent: "silent",
	whyTLS: "tls", whyProxy: "proxy", whyMalformed: "malformed", whyTooLarge: "too_large",
	whyTopic: "topic", whyReserved: "reserved_topic", whyRights: "rights", whyGate: "gate", whyRetained: "retained", whyStore: "retained_total",
	whySubscriptions: "subscriptions", whyDisk: "disk",
	whySlow: "slow", whyPending: "pending", whyQueue: "queue", whyQueueBytes: "queue_bytes", whyPacketIDs: "packet_ids",
}

func (r reason) String() string { return reasonNames[r] }

// whyLogin is the reason for the answer to a client that is not who it says, or
// asks for what is not its own.
func whyLogin(code packets.Code) reason {
	switch code.Code {
	case packets.ErrBadUsernameOrPassword.Code:
		return whyPassword
	case packets.ErrConnectionRateExceeded.Code:
		return whySource
	case packets.ErrClientIdentifierNotValid.Code:
		return whyOwner
	case packets.ErrNotAuthorized.Code:
		return whyWill
	}
	return whyAuth
}

// reasons counts.
type reasons [reasonCount]atomic.Int64

// counted answers the counts from one reason to another, by name.
func (r *reasons) counted(from, to reason) map[string]uint64 {
	m := make(map[string]uint64, to-from+1)
	for ; from <= to; from++ {
		m[from.String()] = uint64(r[from].Load())
	}
	return m
}

// queueFull is told by the library's log.
func (b *Broker) queueFull(client string) { b.refuse(Dropped, whyQueue, client, "") }
