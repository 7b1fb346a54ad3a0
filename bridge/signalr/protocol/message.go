package protocol

import (
	"errors"
	"fmt"
)

// Separator ends every record of the JSON encoding and of the handshake.
const Separator = 0x1e

// MaxDepth is how deep the values of a record may be nested; the vendor's
// reader has the same limit.
const MaxDepth = 64

// MaxArguments is how many arguments or uploads one call may have: each of them
// takes more memory than it took bytes.
const MaxArguments = 1024

// ErrInvalid is wrapped by the error of a record that breaks the protocol. The
// connection that sent it must end.
var ErrInvalid = errors.New("invalid data")

// ErrTooLarge is the error of a record that is longer than the limit.
var ErrTooLarge = errors.New("the maximum message size was exceeded")

// Type is the number of a message type (HubProtocol.md, Message Types).
type Type int

// The message types. Every other number is unknown and to be ignored.
const (
	Invocation       Type = 1
	StreamItem       Type = 2
	Completion       Type = 3
	StreamInvocation Type = 4
	CancelInvocation Type = 5
	Ping             Type = 6
	Close            Type = 7
	Ack              Type = 8
	Sequence         Type = 9
)

// Known says whether t is one of the nine message types.
func (t Type) Known() bool { return t >= Invocation && t <= Sequence }

// Counted says whether messages of this type are numbered for stateful
// reconnect.
func (t Type) Counted() bool { return t >= Invocation && t <= CancelInvocation }

// Message is one hub message, read or to be written. Which fields count depends
// on Type; values that were read point into the record that was parsed.
type Message struct {
	Type           Type     // what it is
	ID             string   // invocationId; empty: the sender wants no answer
	Target         string   // method or event of an (stream) invocation
	Args           []Value  // arguments of an (stream) invocation
	StreamIDs      []string // uploads that belong to an invocation
	Item           Value    // of a StreamItem
	Result         Value    // of a Completion; the zero Value: no result, which is not a null result
	Error          string   // of a Completion or Close
	Failed         bool     // a Completion carries an error, even an empty one
	AllowReconnect bool     // of a Close
	SequenceID     uint64   // of an Ack or Sequence
}

// fault is what is wrong with a record, in words for the client.
type fault string

// Error implements error.
func (f fault) Error() string { return string(f) }

// Unwrap makes it an ErrInvalid.
func (f fault) Unwrap() error { return ErrInvalid }

func invalid(format string, args ...any) error { return fault(fmt.Sprintf(format, args...)) }

// check says what the message lacks for its type.
func (m *Message) check(seen fields) error {
	switch m.Type {
	case Invocation:
		return m.checkCall(seen)
	case StreamInvocation:
		if m.ID == "" {
			return missing("invocationId")
		}
		return m.checkCall(seen)
	case StreamItem, CancelInvocation:
		if m.ID == "" {
			return missing("invocationId")
		}
	case Completion:
		if m.ID == "" {
			return missing("invocationId")
		}
		if m.Failed && m.Result.Present() {
			return invalid("the 'error' and 'result' properties are mutually exclusive")
		}
	case Ack, Sequence:
		if !seen.has(fieldSequence) {
			return missing("sequenceId")
		}
	}
	return nil
}

// roomy says whether a call may have n arguments or uploads.
func roomy(n int) error {
	if n > MaxArguments {
		return invalid("more than %d arguments", MaxArguments)
	}
	return nil
}

func (m *Message) checkCall(seen fields) error {
	if m.Target == "" {
		return missing("target")
	}
	if !seen.has(fieldArguments) {
		return missing("arguments")
	}
	return nil
}

func missing(name string) error { return invalid("missing required property '%s'", name) }
