package protocol

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// MaxVersion is the highest protocol version that is spoken. Version 2 adds
// the Ack and Sequence messages.
const MaxVersion = 2

// Handshake is the first record that a client sends.
type Handshake struct {
	Protocol string // name of the encoding, as a Codec gives it; case counts
	Version  int    // of the hub protocol, from 1 to MaxVersion where it is spoken
}

// ParseHandshake reads the first record, separator removed. Errors wrap
// [ErrInvalid].
func ParseHandshake(record []byte) (Handshake, error) {
	var h Handshake
	if err := wellFormed(record); err != nil {
		return h, err
	}
	var versioned bool
	err := walk(record, func(name []byte, value json.RawMessage) error {
		switch string(name) {
		case "protocol":
			return text(string(name), value, &h.Protocol)
		case "version":
			versioned = true
			n, err := integer(string(name), value)
			h.Version = int(max(min(n, 1<<20), -1))
			return err
		}
		return nil
	})
	switch {
	case err != nil:
		return h, err
	case h.Protocol == "":
		return h, missing("protocol")
	case !versioned:
		return h, missing("version")
	}
	return h, nil
}

// Refusal says, in the vendor's words, why a server cannot speak what the
// client asks for; empty means that it can.
func (h Handshake) Refusal() string {
	if Find(h.Protocol) == nil {
		return fmt.Sprintf("The protocol '%s' is not supported.", h.Protocol)
	}
	if h.Version < 1 || h.Version > MaxVersion {
		return fmt.Sprintf("The server does not support version %d of the '%s' protocol.", h.Version, h.Protocol)
	}
	return ""
}

// ParseHandshakeReply reads a server's answer to the handshake, separator
// removed: nil when it was accepted. For clients.
func ParseHandshakeReply(record []byte) error {
	if err := wellFormed(record); err != nil {
		return err
	}
	var reason string
	err := walk(record, func(name []byte, value json.RawMessage) error {
		if string(name) == "error" {
			return text(string(name), value, &reason)
		}
		return nil
	})
	if err == nil && reason != "" {
		err = fmt.Errorf("handshake refused: %s", reason)
	}
	return err
}

// AppendHandshake appends a client's handshake record to dst.
func AppendHandshake(dst []byte, h Handshake) []byte {
	dst = appendText(append(dst, `{"protocol":`...), h.Protocol)
	dst = strconv.AppendInt(append(dst, `,"version":`...), int64(h.Version), 10)
	return append(dst, '}', Separator)
}

// AppendHandshakeReply appends the answer to a handshake to dst: accepted when
// reason is empty, else refused for that reason.
func AppendHandshakeReply(dst []byte, reason string) []byte {
	if reason == "" {
		return append(dst, '{', '}', Separator)
	}
	dst = append(dst, `{"error":`...)
	dst = appendText(dst, reason)
	return append(dst, '}', Separator)
}
