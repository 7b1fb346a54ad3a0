package protocol_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// sound fails when a message that was accepted cannot be used.
func sound(t *testing.T, record []byte, m protocol.Message) {
	t.Helper()
	for _, v := range append(m.Args, m.Item, m.Result) {
		if raw := v.JSON(); v.Present() && !json.Valid(raw) {
			t.Fatalf("Parse(%q) gives the value %q", record, raw)
		}
	}
	if len(m.Args) > protocol.MaxArguments {
		t.Fatalf("%d arguments", len(m.Args))
	}
	if !m.Type.Known() {
		return
	}
	for _, c := range []protocol.Codec{protocol.JSON, protocol.MessagePack} {
		b, err := c.Append(nil, &m)
		if err != nil {
			t.Fatalf("%q read, but not written as %s: %v", record, c.Name(), err)
		}
		s := protocol.NewSplitter(len(b))
		s.Use(c)
		n := 0
		err = s.Feed(b, func(r []byte) error {
			n++
			again, err := c.Parse(r)
			if err == nil && (again.Type != m.Type || again.ID != m.ID && m.Type.Counted() && utf8.ValidString(m.ID)) {
				t.Fatalf("%q is %+v, then %+v", record, m, again)
			}
			return err
		})
		if err != nil || n != 1 {
			t.Fatalf("%q written as %s is %q: %d records, %v", record, c.Name(), b, n, err)
		}
	}
}

// FuzzParseJSON: no input makes the parser panic, and what it accepts can be
// used and written in both encodings.
func FuzzParseJSON(f *testing.F) {
	for _, s := range []string{
		`{"arguments":["a",1,{"x":[]}],"invocationId":"0","target":"Echo","type":1,"streamIds":["1"]}`,
		`{"type":3,"invocationId":"1","result":{"a":"\u001e"}}`, `{"type":6}`, `{"type":7,"error":null,"allowReconnect":true}`,
		`{"type":8,"sequenceId":-1}`, `{"type":1,"target":"","arguments":[ ]}`, "{\"type\":1e3}", `{"ty\u0070e":2,"item":[[[]]]}`,
		`{"type":1,"target":"x","arguments":[1e400,-0,18446744073709551616,"\ud800"]}`, `{"type":"1","target":"x"}`,
	} {
		f.Add([]byte(s))
	}
	for _, v := range vectors(f) {
		f.Add([]byte(strings.TrimSuffix(v.JSON, "\x1e")))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := protocol.JSON.Parse(b)
		if err == nil {
			sound(t, b, m)
		} else if !errors.Is(err, protocol.ErrInvalid) {
			t.Fatalf("Parse(%q): %v is not ErrInvalid", b, err)
		}
	})
}

// hostile are MessagePack records that ask for more than they have, and other
// things that no client writes.
var hostile = []string{
	"dd7fffffff", "dfffffffff", "dc ffff 01", "c6ffffffff", "dbffffffff00", "9106", "92", "9201", "c1", "91c1", "9107",
	"9501 80 c0 a178 dd10000000", "9501dfffffffffc0a17890", "960180c0a17890ddffffffff", strings.Repeat("91", 64) + "c0", strings.Repeat("91", 65) + "c0",
	strings.Repeat("81c0", 70), "9503 80 a131 04", "9403 80 a131 03", "950380a13103c0", "960380a13103c0c0", "9205", "9208cfffffffffffffffff", "9208ff",
	"940280a131 d6ff00000000", "940280a131 c70cff ffffffff 0000000000000000", "940280a131 c7ff00", "940280a131 cb7ff8000000000001", "940280a131 82c0010102",
	"940280a131 81 91c0 c0", "940280a131 a2c328", "93 00 80 c0", "91a131",
}

// FuzzParseMessagePack is FuzzParseJSON for the other encoding.
func FuzzParseMessagePack(f *testing.F) {
	for _, s := range hostile {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			f.Fatal(s, err)
		}
		f.Add(b)
	}
	for _, v := range vectors(f) {
		wire, _ := hex.DecodeString(v.MessagePack)
		f.Add(split(f, protocol.MessagePack, wire))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := protocol.MessagePack.Parse(b)
		if err != nil {
			if !errors.Is(err, protocol.ErrInvalid) {
				t.Fatalf("Parse(%x): %v is not ErrInvalid", b, err)
			}
			return
		}
		sound(t, b, m)
		for _, v := range append(m.Args, m.Item, m.Result) {
			var x any
			if v.Present() && v.Decode(&x) != nil {
				t.Fatalf("%x has a value that cannot be decoded", b)
			}
		}
	})
}

// FuzzCross: what JSON can say survives the way through MessagePack.
func FuzzCross(f *testing.F) {
	for _, s := range []string{`null`, `[1,-1,1.5,"a",{"b":[true,{}]}]`, `9007199254740993`, `18446744073709551615`, `-9223372036854775808`, `1e21`, `1e-7`, `""`, `"\u0000\u001e\"\\"`, `{"":0}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var value protocol.Value
		var want any
		if len(text) > 0 && text[0] == ' ' || json.Unmarshal(text, &value) != nil || value.Decode(&want) != nil {
			return
		}
		wire, err := protocol.MessagePack.Append(nil, &protocol.Message{Type: protocol.StreamItem, ID: "1", Item: value})
		if err != nil {
			return // not UTF-8, too deep
		}
		m, err := protocol.MessagePack.Parse(split(t, protocol.MessagePack, wire))
		if err != nil {
			t.Fatalf("%s is %x: %v", text, wire, err)
		}
		var got any
		if err := m.Item.Decode(&got); err != nil || !reflect.DeepEqual(got, want) && !rounded(want) {
			t.Fatalf("%s is %v, then %v, %v", text, want, got, err)
		}
	})
}

// rounded says that v holds a number that MessagePack cannot hold.
func rounded(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return true
	case []any:
		for _, e := range v {
			if rounded(e) {
				return true
			}
		}
	case map[string]any:
		for _, e := range v {
			if rounded(e) {
				return true
			}
		}
	}
	return false
}

// FuzzHandshake: what is accepted survives being written again.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(`{"protocol":"json","version":1}`))
	f.Add([]byte(`{"version":2,"protocol":"messagepack"}`))
	f.Add([]byte(`{"version":1e400,"protocol":null}`))
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
// than the limit comes out, with either framing.
func FuzzSplitter(f *testing.F) {
	f.Add([]byte("ab\x1ecd\x1e\x1e"), 1, false)
	f.Add([]byte("0123456789abcdef\x1e"), 3, false)
	f.Add([]byte("\x02\x91\x06\x02\x91\x06"), 1, true)
	f.Add([]byte("\xff\xff\xff\xff\x7f"), 1, true)
	f.Add([]byte("\xff\xff\xff\xff\x07"), 2, true)
	f.Add([]byte("\x80\x80\x80\x80\x80\x01"), 5, true)
	f.Add([]byte("\x82\x00ab\x00"), 1, true)
	f.Add([]byte("\x10{23456789abcdef"), 7, true)
	f.Fuzz(func(t *testing.T, stream []byte, step int, packed bool) {
		const limit = 16
		step = max(1, step%64)
		cut := func(step int) (out [][]byte, err error) {
			s := protocol.NewSplitter(limit)
			if packed {
				s.Use(protocol.MessagePack)
			}
			for b := stream; len(b) > 0 && err == nil; b = b[min(step, len(b)):] {
				err = s.Feed(b[:min(step, len(b))], func(r []byte) error { out = append(out, bytes.Clone(r)); return nil })
			}
			return out, err
		}
		whole, err := cut(len(stream) + 1)
		parts, errParts := cut(step)
		if err != errParts || len(whole) != len(parts) {
			t.Fatalf("%q by %d: %q %v, whole: %q %v", stream, step, parts, errParts, whole, err)
		}
		for i := range whole {
			if !bytes.Equal(whole[i], parts[i]) || len(whole[i]) > limit || !packed && len(whole[i]) == limit {
				t.Fatalf("%q by %d: record %d is %q, whole: %q", stream, step, i, parts[i], whole[i])
			}
		}
	})
}
