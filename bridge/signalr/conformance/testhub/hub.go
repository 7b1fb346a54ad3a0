package testhub

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// What clients of the hub understand.
const (
	message        signalr.Event1[string]       = "Message"
	customObject   signalr.Event1[CustomObject] = "CustomObject"
	streamCanceled signalr.Event0               = "StreamCanceled"
	push           signalr.Event1[any]          = "Push"

	ask    signalr.Question1[any, protocol.Value] = "Ask"
	result signalr.Question0[int]                 = "Result"
)

// CustomObject is what SendCustomObject sends back; its names stay as they are.
type CustomObject struct {
	Name  string // any text
	Value int    // any number
}

// ComplexObject has a value of each kind on which the encodings differ.
type ComplexObject struct {
	String    string    // text in both encodings
	IntArray  []int     // a list in both
	ByteArray []byte    // base64 text in JSON, binary in MessagePack
	GUID      string    `json:"Guid"` // text in both; the vendor's name
	DateTime  time.Time // RFC 3339 text in JSON, a timestamp in MessagePack
}

// Methods gives a hub all methods of the test hub.
func Methods(s *signalr.Server) {
	vendor(s)
	request(s)
	streams(s)
	more(s)
}

// thrown is an error as the vendor's server tells it, details on.
func thrown(text string) error {
	return &signalr.HubError{Kind: "InvalidOperationException", Text: text}
}

// vendor are the plain methods of the vendor's test hub.
func vendor(s *signalr.Server) {
	s.Method("Echo", signalr.Func1(func(_ context.Context, _ *signalr.Call, text *string) (*string, error) { return text, nil }))
	s.Method("GetCallerConnectionId", signalr.Func0(func(_ context.Context, c *signalr.Call) (string, error) { return c.Conn().ID(), nil }))
	s.Method("ThrowException", signalr.Do1(func(_ context.Context, _ *signalr.Call, text string) error { return thrown(text) }))
	s.Method("InvokeWithString", signalr.Do1(func(_ context.Context, c *signalr.Call, text string) error {
		message.Send(c.Caller(), text)
		return nil
	}))
	s.Method("SendCustomObject", signalr.Do1(func(_ context.Context, c *signalr.Call, o CustomObject) error {
		customObject.Send(c.Caller(), o)
		return nil
	}))
	s.Method("EchoComplexObject", signalr.Func1(func(_ context.Context, _ *signalr.Call, o protocol.Value) (protocol.Value, error) { return o, nil }))
	s.Method("SendComplexObject", signalr.Func0(func(context.Context, *signalr.Call) (ComplexObject, error) {
		return ComplexObject{
			String: "hello world", IntArray: []int{1, 2, 3}, ByteArray: []byte{1, 2, 3},
			GUID: "00010203-0405-0607-0706-050403020100", DateTime: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		}, nil
	}))
}

// request are the methods that tell of the opening request.
func request(s *signalr.Server) {
	s.Method("GetNumRedirects", signalr.Func0(func(_ context.Context, c *signalr.Call) (int, error) {
		return strconv.Atoi(c.Conn().Query().Get("numRedirects"))
	}))
	s.Method("GetActiveTransportName", signalr.Func0(func(_ context.Context, c *signalr.Call) (string, error) {
		return c.Conn().Transport().String(), nil
	}))
	s.Method("GetContentTypeHeader", signalr.Func0(func(_ context.Context, c *signalr.Call) (*string, error) {
		return present(c.Conn().Header("Content-Type")), nil
	}))
	s.Method("GetHeader", signalr.Func1(func(_ context.Context, c *signalr.Call, name string) (*string, error) {
		return present(c.Conn().Header(name)), nil
	}))
	s.Method("GetCookie", signalr.Func1(func(_ context.Context, c *signalr.Call, name string) (*string, error) {
		return present(c.Conn().Cookie(name)), nil
	}))
}

// present is the text, or null when there is none.
func present(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// streams are the vendor's methods with streams.
func streams(s *signalr.Server) {
	s.Method("Stream", signalr.Stream0(func(_ context.Context, _ *signalr.Call, out *signalr.Stream[string]) error {
		for _, item := range []string{"a", "b", "c"} {
			if err := out.Send(item); err != nil {
				return err
			}
		}
		return nil
	}))
	s.Method("InfiniteStream", signalr.Stream0(func(ctx context.Context, c *signalr.Call, _ *signalr.Stream[string]) error {
		<-ctx.Done()
		streamCanceled.Send(c.Caller())
		return nil
	}))
	s.Method("EmptyStream", signalr.Stream0(func(context.Context, *signalr.Call, *signalr.Stream[int]) error { return nil }))
	s.Method("StreamThrowException", signalr.Stream1(func(_ context.Context, _ *signalr.Call, text string, _ *signalr.Stream[string]) error {
		return thrown(text)
	}))
	s.Method("StreamingConcat", signalr.Func1(func(ctx context.Context, _ *signalr.Call, parts signalr.Upload[string]) (string, error) {
		var all strings.Builder
		for part, err := range parts.All(ctx) {
			if err != nil {
				return "", err
			}
			all.WriteString(part)
		}
		return all.String(), nil
	}))
}

// more are the methods that the vendor's hub has not.
func more(s *signalr.Server) {
	s.Method("EchoAny", signalr.Func1(func(_ context.Context, _ *signalr.Call, v protocol.Value) (protocol.Value, error) { return v, nil }))
	s.Method("Void", signalr.Do0(func(context.Context, *signalr.Call) error { return nil }))
	s.Method("JoinGroup", signalr.Do1(func(_ context.Context, c *signalr.Call, group string) error {
		_, err := c.Conn().Join(group)
		return err
	}))
	s.Method("LeaveGroup", signalr.Do1(func(_ context.Context, c *signalr.Call, group string) error {
		c.Conn().Leave(group)
		return nil
	}))
	s.Method("SendToGroup", signalr.Do2(func(_ context.Context, _ *signalr.Call, group string, payload protocol.Value) error {
		push.Send(s.Group(group), payload)
		return nil
	}))
	s.Method("Burst", signalr.Do1(func(_ context.Context, c *signalr.Call, n int) error {
		for i := range n {
			if err := c.Conn().Send(string(push), i); err != nil {
				return err
			}
		}
		return nil
	}))
	s.Method("Counter", signalr.Stream2(count))
	s.Method("ActiveStreams", signalr.Func0(func(_ context.Context, c *signalr.Call) (int, error) { return c.Conn().ActiveStreams(), nil }))
	s.Method("AskClient", signalr.Func1(func(ctx context.Context, c *signalr.Call, v any) (protocol.Value, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return ask.Ask(ctx, c.Conn(), v)
	}))
}

// patience is how long a client may take to answer.
const patience = 30 * time.Second

// count sends 0 … n-1 with a pause before each but the first.
func count(ctx context.Context, _ *signalr.Call, n int, delayMs int, out *signalr.Stream[int]) error {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for i := range n {
		select {
		case <-pause.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := out.Send(i); err != nil {
			return err
		}
		pause.Reset(time.Duration(delayMs) * time.Millisecond)
	}
	return nil
}
