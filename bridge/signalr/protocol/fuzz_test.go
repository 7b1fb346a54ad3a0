package protocol_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// FuzzParse: no input makes the parser panic; what it accepts is JSON, and all
// raw values are JSON of their own.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"arguments":["a",1,{"x":[]}],"invocationId":"0","target":"Echo","type":1,"streamIds":["1"]}`,
		`{"type":3,"invocationId":"1","result":{"a":"\u001e"}}`, `{"type":6}`, `{"type":7,"error":null,"allowReconnect":true}`,
		`{"type":8,"sequenceId":-1}`, `{"type":1,"target":"","arguments":[ ]}`, "{\"type\":1e3}", `{"ty\u0070e":2,"item":[[[]]]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := protocol.Parse(b)
		if err != nil {
			if !errors.Is(err, protocol.ErrInvalid) {
				t.Fatalf("Parse(%q): %v is not ErrInvalid", b, err)
			}
			return
		}
		for _, raw := range append(m.Args, m.Item, m.Result) {
			if raw != nil && !json.Valid(raw) {
				t.Fatalf("Parse(%q) gives the value %q", b, raw)
			}
		}
	})
}

// FuzzHandshake: what is accepted survives being written again.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(`{"protocol":"json","version":1}`))
	f.Add([]byte(`{"version":2,"protocol":"messagepack"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := protocol.ParseHandshake(b)
		if err != nil {
			return
		}
		_ = h.Refusal()
		again := protocol.AppendHandshake(nil, h)
		if g, err := protocol.ParseHandshake(again[:len(again)-1]); err != nil || g != h {
			t.Fatalf("%q is %+v, then %+v, %v", b, h, g, err)
		}
	})
}

// FuzzSplitter: where the stream is cut does not matter, and nothing longer
// than the limit comes out.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("ab\x1ecd\x1e\x1e"), 1)
	f.Add([]byte("0123456789abcdef\x1e"), 3)
	f.Fuzz(func(t *testing.T, stream []byte, step int) {
		const limit = 16
		step = max(1, step%64)
		split := func(step int) (out [][]byte, err error) {
			s := protocol.NewSplitter(limit)
			for b := stream; len(b) > 0 && err == nil; b = b[min(step, len(b)):] {
				err = s.Feed(b[:min(step, len(b))], func(r []byte) error { out = append(out, bytes.Clone(r)); return nil })
			}
			return out, err
		}
		whole, err := split(len(stream) + 1)
		parts, errParts := split(step)
		if err != errParts || len(whole) != len(parts) {
			t.Fatalf("%q by %d: %q %v, whole: %q %v", stream, step, parts, errParts, whole, err)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], parts[i]) || len(whole[i])+1 > limit {
				t.Fatalf("%q by %d: record %d is %q, whole: %q", stream, step, i, parts[i], whole[i])
			}
		}
	})
}
