package external

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/eclipse/paho.golang/paho"
)

// ErrVersion is the cause of a connection that failed where the broker speaks no
// MQTT 5: an old one, or one of which that part is switched off.
var ErrVersion = errors.New("broker speaks no MQTT 5, which is needed")

// errHungUp is the cause of a connection that failed where the broker said nothing.
var errHungUp = errors.New("broker hung up without an answer")

// refusals is what the reason codes of a CONNACK mean, [MQTT5 3.2.2.2].
var refusals = map[byte]string{
	0x80: "unspecified error", 0x81: "malformed packet", 0x82: "protocol error", 0x83: "implementation specific error", 0x84: "unsupported protocol version",
	0x85: "client identifier not valid", 0x86: "bad user name or password", 0x87: "not authorized", 0x88: "server unavailable", 0x89: "server busy", 0x8a: "banned",
	0x8c: "bad authentication method", 0x90: "topic name invalid", 0x95: "packet too large", 0x97: "quota exceeded", 0x99: "payload format invalid",
	0x9a: "retain not supported", 0x9b: "QoS not supported", 0x9c: "use another server", 0x9d: "server moved", 0x9f: "connection rate exceeded",
}

// refusals3 is what the return codes of MQTT 3.1.1 mean, [MQTT-3.2.2-4].
var refusals3 = map[byte]string{
	0: "accepted", 1: "unacceptable protocol version", 2: "client identifier rejected", 3: "server unavailable", 4: "bad user name or password", 5: "not authorized",
}

const (
	connackType    = 0x20 // first byte of a CONNACK
	connackLength3 = 2    // of the rest of one of MQTT 3.1.1; MQTT 5 has at least 3
	unsupported    = 0x84
)

// refusal says why a handshake failed: by what the broker answered, of which said
// is the beginning, else by the error of the library.
func refusal(ack *paho.Connack, said []byte, err error) error {
	switch {
	case ack != nil && ack.ReasonCode == unsupported:
		return fmt.Errorf("connect: %w", ErrVersion)
	case ack != nil && ack.ReasonCode >= 0x80:
		return fmt.Errorf("connect: the broker refuses: %s", reasonOf(ack))
	case len(said) == 0 && closed(err):
		return fmt.Errorf("connect: %w: it may speak no MQTT 5, or want TLS: %w", errHungUp, err)
	case len(said) > 0 && said[0] != connackType:
		return errors.New("connect: what answers is no MQTT broker, or wants TLS")
	case len(said) == saidMost && said[1] == connackLength3:
		if what := refusals3[said[3]]; said[3] > 1 && what != "" { // perhaps it looked at this before the version
			return fmt.Errorf("connect: %w: it answers as MQTT 3.1.1 does, %s", ErrVersion, what)
		}
		return fmt.Errorf("connect: %w: it answers as MQTT 3.1.1 does", ErrVersion)
	}
	return fmt.Errorf("connect: %w", err)
}

func reasonOf(ack *paho.Connack) string {
	what, known := refusals[ack.ReasonCode]
	if !known {
		what = fmt.Sprintf("reason 0x%02x", ack.ReasonCode)
	}
	if ack.Properties != nil && ack.Properties.ReasonString != "" {
		what = fmt.Sprintf("%s (%.100q)", what, ack.Properties.ReasonString)
	}
	return what
}

// closed tells whether the other side ended the connection.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed)
}
