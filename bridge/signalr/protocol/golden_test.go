package protocol_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

type vector struct{ Name, JSON, MessagePack string }

// vectors are bytes that the vendor's client wrote; testdata/vectors.mjs makes
// them.
func vectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(b, &file); err != nil || len(file.Vectors) == 0 {
		t.Fatal(err)
	}
	return file.Vectors
}

// split gives the one record of a stream.
func split(t testing.TB, c protocol.Codec, stream []byte) (record []byte) {
	t.Helper()
	s := protocol.NewSplitter(1 << 20)
	s.Use(c)
	if err := s.Feed(stream, func(r []byte) error { record = slices.Clone(r); return nil }); err != nil || record == nil {
		t.Fatalf("%x: %v", stream, err)
	}
	return record
}

// notOurs are the vectors that are read but would be written otherwise: we send
// no headers, no empty list of streams, and in a Close always whether to
// reconnect.
var notOurs = []string{"invocation", "invocation with headers", "stream invocation", "close"}

// onlyPacked are the vectors whose values JSON has no word for.
var onlyPacked = []string{"invocation, bytes", "invocation, times"}

func TestGolden(t *testing.T) {
	for _, v := range vectors(t) {
		wire, err := hex.DecodeString(v.MessagePack)
		if err != nil {
			t.Fatal(err)
		}
		text, err1 := protocol.JSON.Parse(split(t, protocol.JSON, []byte(v.JSON)))
		packed, err2 := protocol.MessagePack.Parse(split(t, protocol.MessagePack, wire))
		if err1 != nil || err2 != nil {
			t.Errorf("%s: %v, %v", v.Name, err1, err2)
			continue
		}
		if !slices.Contains(onlyPacked, v.Name) && brief(text) != brief(packed) {
			t.Errorf("%s: %q as JSON, %q as MessagePack", v.Name, brief(text), brief(packed))
		}
		if slices.Contains(notOurs, v.Name) {
			continue
		}
		if got, err := protocol.MessagePack.Append(nil, &packed); err != nil || string(got) != string(wire) {
			t.Errorf("%s: written again %x, %v, want %x", v.Name, got, err, wire)
		}
		if slices.Contains(onlyPacked, v.Name) {
			continue
		}
		if got, err := protocol.MessagePack.Append(nil, &text); err != nil || string(got) != string(wire) {
			t.Errorf("%s: from JSON %x, %v, want %x", v.Name, got, err, wire)
		}
	}
}

func TestBinaryAndTimesCross(t *testing.T) {
	for _, v := range vectors(t) {
		want := map[string]string{
			"invocation, bytes": `"AAH/"`,
			"invocation, times": `"2000-01-01T00:00:00Z","2026-07-30T12:34:56.789Z"`,
		}[v.Name]
		if want == "" {
			continue
		}
		wire, _ := hex.DecodeString(v.MessagePack)
		m, err := protocol.MessagePack.Parse(split(t, protocol.MessagePack, wire))
		if err != nil {
			t.Fatal(err)
		}
		got, err := protocol.JSON.Append(nil, &m)
		if err != nil || !strings.Contains(string(got), `"arguments":[`+want+`]`) {
			t.Errorf("%s: %s, %v", v.Name, got, err)
		}
	}
}
