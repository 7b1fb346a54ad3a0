package signalr

import (
	"errors"
	"fmt"
)

// ErrClosed is returned when the connection has ended.
var ErrClosed = errors.New("connection closed")

// ErrGroups is returned by [Conn.Join] when the connection is a member of
// MaximumGroups; a caller sees its text.
var ErrGroups = Error("too many groups")

// Causes with which a connection ends; OnDisconnect gets them, wrapped.
var (
	// ErrSlow: the peer did not take what was sent to it.
	ErrSlow = errors.New("peer is too slow")
	// ErrSilent: nothing came from the client for ClientTimeoutInterval.
	ErrSilent = errors.New("client is silent")
	// ErrExpired: the client's token ran out, see Principal.Expires.
	ErrExpired = errors.New("authentication expired")
	// ErrAbsent: the client did not poll for DisconnectTimeout.
	ErrAbsent = errors.New("client does not poll")
	// ErrProtocol: the client broke the protocol.
	ErrProtocol = errors.New("protocol violation")
	// ErrHandshake: the client did not shake hands, or asked for what is not
	// spoken here.
	ErrHandshake = errors.New("no handshake")
	// ErrDraining: the server is shutting down.
	ErrDraining = errors.New("server is shutting down")
)

// Null is the result of a method that answers null, which is not the same as a
// method without result.
type Null struct{}

// MarshalJSON implements json.Marshaler.
func (Null) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// HubError is an error whose text is meant for the caller. [Error] makes one.
type HubError struct {
	// Kind is shown before the text; empty is "HubException".
	Kind string
	// Text is what the caller reads behind the kind.
	Text string
}

// Error implements error.
func (e *HubError) Error() string { return e.Text }

// Error is an error whose text the caller sees, as "An unexpected error
// occurred invoking 'X' on the server. HubException: text".
func Error(text string) error { return &HubError{Text: text} }

// verbatim is an error that is the whole text of a completion.
type verbatim struct{ text string }

// Error implements error.
func (e *verbatim) Error() string { return e.text }

// bindError is what is wrong with a call's arguments.
type bindError struct{ text string }

// Error implements error.
func (e *bindError) Error() string { return e.text }

// explain gives the text of the error completion of a call of method name, in
// the vendor's words (DefaultHubDispatcher, ErrorMessageHelper).
func explain(name string, err error, detailed bool) string {
	var bind *bindError
	if errors.As(err, &bind) {
		return describe(fmt.Sprintf("Failed to invoke '%s' due to an error on the server.", name), err, detailed)
	}
	return describe(fmt.Sprintf("An unexpected error occurred invoking '%s' on the server.", name), err, detailed)
}

// describe adds to a fixed text what the client may know of err.
func describe(text string, err error, detailed bool) string {
	var hub *HubError
	var bind *bindError
	switch {
	case errors.As(err, &hub):
		kind := hub.Kind
		if kind == "" {
			kind = "HubException"
		}
		return text + " " + kind + ": " + hub.Text
	case !detailed:
		return text
	case errors.As(err, &bind):
		return text + " InvalidDataException: " + bind.text
	}
	return text + " Exception: " + err.Error()
}

func unknownMethod(name string) string { return fmt.Sprintf("Unknown hub method '%s'", name) }

func unauthorized(name string) string {
	return fmt.Sprintf("Failed to invoke '%s' because user is unauthorized", name)
}

func isStreaming(name string) string {
	return fmt.Sprintf("The client attempted to invoke the streaming '%s' method with a non-streaming invocation.", name)
}

func notStreaming(name string) string {
	return fmt.Sprintf("The client attempted to invoke the non-streaming '%s' method with a streaming invocation.", name)
}
