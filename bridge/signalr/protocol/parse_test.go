package protocol_test

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// brief writes a message so that a table can hold it.
func brief(m protocol.Message) string {
	s := []string{strings.Repeat("#", int(m.Type))}
	for _, v := range []string{m.ID, m.Target, m.Error, string(m.Item.JSON()), string(m.Result.JSON()), strings.Join(m.StreamIDs, "+")} {
		if v != "" {
			s = append(s, v)
		}
	}
	for _, a := range m.Args {
		s = append(s, string(a.JSON()))
	}
	if m.AllowReconnect {
		s = append(s, "again")
	}
	return strings.Join(s, " ")
}

func TestParse(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, tc := range []struct{ name, in, want string }{
		// As the vendor's client writes them.
		{"invocation", `{"arguments":["a",1,{"x":[]}],"invocationId":"0","target":"Echo","type":1}`, `# 0 Echo "a" 1 {"x":[]}`},
		{"send", `{"arguments":[],"target":"Send","type":1}`, `# Send`},
		{"with streams", `{"arguments":[],"invocationId":"1","streamIds":["2","3"],"target":"Up","type":1}`, `# 1 Up 2+3`},
		{"empty streams", `{"arguments":[],"streamIds":[],"target":"Up","type":1}`, `# Up`},
		{"stream item", `{"invocationId":"2","item":{"a":null},"type":2}`, `## 2 {"a":null}`},
		{"completion", `{"invocationId":"2","type":3}`, `### 2`},
		{"completion with null", `{"invocationId":"2","result":null,"type":3}`, `### 2 null`},
		{"completion with error", `{"error":"x","invocationId":"2","type":3}`, `### 2 x`},
		{"stream invocation", `{"arguments":[10],"invocationId":"1","target":"Counter","type":4}`, `#### 1 Counter 10`},
		{"cancel", `{"invocationId":"1","type":5}`, `##### 1`},
		{"ping", `{"type":6}`, `######`},
		{"close", `{"type":7}`, `#######`},
		{"close with error", `{"type":7,"error":"x","allowReconnect":true}`, `####### x again`},
		{"ack", `{"sequenceId":7,"type":8}`, `########`},
		{"sequence", `{"sequenceId":7,"type":9}`, `#########`},
		// What else is legal.
		{"white space", " {\n\t\"type\" : 1 , \"target\":\"a\" ,\"arguments\" : [ 1 , [ 2 ] ] }\r ", `# a 1 [ 2 ]`},
		{"unknown properties", `{"type":6,"headers":{"a":"}"},"x":[{}]}`, `######`},
		{"names are case-sensitive", `{"type":6,"Type":"x","TARGET":1}`, `######`},
		{"escaped name", `{"\u0074ype":6}`, `######`},
		{"last one counts", `{"type":1,"type":6}`, `######`},
		{"quotes inside", `{"type":1,"target":"a\"]","arguments":["\\","]\"}"]}`, `# a"] "\\" "]\"}"`},
		{"unknown type", `{"type":10,"target":5.5e3}`, "!expected 'target' to be of type String"},
		{"unknown type alone", `{"type":10}`, `##########`},
		{"null error", `{"invocationId":"2","error":null,"result":1,"type":3}`, `### 2 1`},
		{"as deep as allowed", `{"type":1,"target":"a","arguments":` + deep(63) + `}`, `# a ` + deep(62)},
		// What is not.
		{"empty", ``, "!empty message"},
		{"no object", `[1]`, "!expected a JSON object"},
		{"number", `6`, "!expected a JSON object"},
		{"cut", `{"type":6`, "!error reading JSON"},
		{"two", `{"type":6}{"type":6}`, "!error reading JSON"},
		{"no type", `{}`, "!missing required property 'type'"},
		{"type as text", `{"type":"1"}`, "!expected 'type' to be of type Number"},
		{"type null", `{"type":null}`, "!expected 'type' to be of type Number"},
		{"type broken", `{"type":1.5}`, "!expected 'type' to be an integer"},
		{"no target", `{"type":1,"arguments":[]}`, "!missing required property 'target'"},
		{"target null", `{"type":1,"target":null,"arguments":[]}`, "!missing required property 'target'"},
		{"no arguments", `{"type":1,"target":"a"}`, "!missing required property 'arguments'"},
		{"arguments null", `{"type":1,"target":"a","arguments":null}`, "!expected 'arguments' to be of type Array"},
		{"arguments object", `{"type":1,"target":"a","arguments":{}}`, "!expected 'arguments' to be of type Array"},
		{"id number", `{"type":1,"target":"a","arguments":[],"invocationId":1}`, "!expected 'invocationId' to be of type String"},
		{"stream without id", `{"type":4,"target":"a","arguments":[]}`, "!missing required property 'invocationId'"},
		{"completion without id", `{"type":3}`, "!missing required property 'invocationId'"},
		{"result and error", `{"type":3,"invocationId":"1","result":1,"error":"x"}`, "!the 'error' and 'result' properties are mutually exclusive"},
		{"stream ids number", `{"type":1,"target":"a","arguments":[],"streamIds":[1]}`, "!expected 'streamIds' to be of type String"},
		{"reconnect text", `{"type":7,"allowReconnect":"true"}`, "!expected 'allowReconnect' to be of type Boolean"},
		{"ack without number", `{"type":8}`, "!missing required property 'sequenceId'"},
		{"no UTF-8", "{\"type\":1,\"target\":\"\xff\",\"arguments\":[]}", "!message is not valid UTF-8"},
		{"too deep", `{"type":1,"target":"a","arguments":` + deep(64) + `}`, "!message is nested deeper than 64"},
		{"far too deep", strings.Repeat("[", 30_000), "!message is nested deeper than 64"},
	} {
		m, err := protocol.JSON.Parse([]byte(tc.in))
		got := brief(m)
		if err != nil {
			got = "!" + err.Error()
		}
		if got != tc.want || err != nil && !errors.Is(err, protocol.ErrInvalid) {
			t.Errorf("%s: Parse(%.80s) = %s, want %s", tc.name, tc.in, got, tc.want)
		}
	}
}

func TestHandshake(t *testing.T) {
	for _, tc := range []struct{ name, in, fault, refusal string }{
		{"vendor", `{"protocol":"json","version":1}`, "", ""},
		{"stateful reconnect", `{"version":2,"protocol":"json"}`, "", ""},
		{"more properties", `{"protocol":"json","version":1,"x":{}}`, "", ""},
		{"messagepack", `{"protocol":"messagepack","version":2}`, "", ""},
		{"other protocol", `{"protocol":"blazorpack","version":1}`, "", "The protocol 'blazorpack' is not supported."},
		{"exact name", `{"protocol":"JSON","version":1}`, "", "The protocol 'JSON' is not supported."},
		{"version 0", `{"protocol":"json","version":0}`, "", "The server does not support version 0 of the 'json' protocol."},
		{"version 3", `{"protocol":"json","version":3}`, "", "The server does not support version 3 of the 'json' protocol."},
		{"no version", `{"protocol":"json"}`, "missing required property 'version'", ""},
		{"no protocol", `{"version":1}`, "missing required property 'protocol'", ""},
		{"version text", `{"protocol":"json","version":"1"}`, "expected 'version' to be of type Number", ""},
		{"a call", `{"type":1,"target":"a","arguments":[]}`, "missing required property 'protocol'", ""},
		{"rubbish", "GET / HTTP/1.1\r\n", "error reading JSON", ""},
	} {
		h, err := protocol.ParseHandshake([]byte(tc.in))
		fault, refusal := "", ""
		if err != nil {
			fault = err.Error()
		} else {
			refusal = h.Refusal()
		}
		if fault != tc.fault || refusal != tc.refusal {
			t.Errorf("%s: fault %q, refusal %q, want %q, %q", tc.name, fault, refusal, tc.fault, tc.refusal)
		}
	}
}

func TestSplitter(t *testing.T) {
	for _, tc := range []struct {
		name  string
		parts []string
		want  []string
		err   error
	}{
		{"one", []string{"ab\x1e"}, []string{"ab"}, nil},
		{"several in one", []string{"a\x1ebc\x1e\x1ed\x1e"}, []string{"a", "bc", "", "d"}, nil},
		{"one in several", []string{"a", "b", "", "c\x1e"}, []string{"abc"}, nil},
		{"edges anywhere", []string{"a\x1eb", "c\x1ed", "\x1e"}, []string{"a", "bc", "d"}, nil},
		{"unfinished", []string{"a\x1ebcd"}, []string{"a"}, nil},
		{"just fits", []string{"1234", "567\x1e"}, []string{"1234567"}, nil},
		{"too long", []string{"12345678\x1e"}, nil, protocol.ErrTooLarge},
		{"too long in parts", []string{"1\x1e1234", "5678\x1e"}, []string{"1"}, protocol.ErrTooLarge},
		{"endless", []string{"12345678"}, nil, protocol.ErrTooLarge},
		{"many short ones may be longer", []string{strings.Repeat("1\x1e", 20)}, strings.Split(strings.Repeat("1,", 19)+"1", ","), nil},
	} {
		s := protocol.NewSplitter(8)
		var got []string
		var err error
		for _, p := range tc.parts {
			if err == nil {
				err = s.Feed([]byte(p), func(r []byte) error { got = append(got, string(r)); return nil })
			}
		}
		if !reflect.DeepEqual(got, tc.want) || err != tc.err {
			t.Errorf("%s: %q = %q, %v; want %q, %v", tc.name, tc.parts, got, err, tc.want, tc.err)
		}
	}
}

func TestAppend(t *testing.T) {
	for _, tc := range []struct {
		m          protocol.Message
		json, pack string
	}{
		{protocol.Message{Type: protocol.Invocation, Target: "Push", Args: protocol.Values(1, "a\"\x1e<\xff", nil, true, map[string]int{"n": 1}, []byte{1})},
			`{"type":1,"target":"Push","arguments":[1,"a\"\u001e<\ufffd",null,true,{"n":1},"AQ=="]}`, "1c950180c0a45075736896" + "01" + "a761221e3cefbfbd" + "c0c3" + "81a16e01" + "c40101"},
		{protocol.Message{Type: protocol.Completion, ID: "7", Result: protocol.Of(nil)}, `{"type":3,"invocationId":"7","result":null}`, "07950380a13703c0"},
		{protocol.Message{Type: protocol.Completion, ID: "7"}, `{"type":3,"invocationId":"7"}`, "06940380a13702"},
		{protocol.Message{Type: protocol.Completion, ID: "7", Failed: true, Error: "x"}, `{"type":3,"invocationId":"7","error":"x"}`, "08950380a13701a178"},
		{protocol.Message{Type: protocol.CancelInvocation, ID: "7"}, `{"type":5,"invocationId":"7"}`, "05930580a137"},
		{protocol.Message{Type: protocol.StreamItem, ID: "7", Item: protocol.Of(true)}, `{"type":2,"invocationId":"7","item":true}`, "06940280a137c3"},
		{protocol.Message{Type: protocol.StreamInvocation, ID: "7", Target: "X", StreamIDs: []string{"1", "2"}},
			`{"type":4,"invocationId":"7","target":"X","arguments":[],"streamIds":["1","2"]}`, "0d960480a137a1589092a131a132"},
		{protocol.Message{Type: protocol.Ping}, `{"type":6}`, "029106"},
		{protocol.Message{Type: protocol.Close, AllowReconnect: true}, `{"type":7,"allowReconnect":true}`, "049307c0c3"},
		{protocol.Message{Type: protocol.Close, Error: "x"}, `{"type":7,"error":"x"}`, "059307a178c2"},
		{protocol.Message{Type: protocol.Ack, SequenceID: 1 << 40}, `{"type":8,"sequenceId":1099511627776}`, "0b9208cf0000010000000000"},
		{protocol.Message{Type: protocol.Sequence, SequenceID: 3}, `{"type":9,"sequenceId":3}`, "03920903"},
	} {
		text, err := protocol.JSON.Append(nil, &tc.m)
		if want := strings.ReplaceAll(tc.json, `\ufffd`, "\ufffd") + "\x1e"; err != nil || string(text) != want {
			t.Errorf("got %s, %v, want %s", text, err, want)
		}
		packed, err := protocol.MessagePack.Append(nil, &tc.m)
		if err != nil || hex.EncodeToString(packed) != tc.pack {
			t.Errorf("%s: got %x, %v, want %s", tc.json, packed, err, tc.pack)
		}
	}
}

func TestAppendHandshake(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{string(protocol.AppendHandshake(nil, protocol.Handshake{Protocol: "json", Version: 1})), `{"protocol":"json","version":1}` + "\x1e"},
		{string(protocol.AppendHandshakeReply(nil, "")), "{}\x1e"},
		{string(protocol.AppendHandshakeReply(nil, "x")), `{"error":"x"}` + "\x1e"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %s, want %s", tc.got, tc.want)
		}
	}
}

func TestAppendWhatHasNoEncoding(t *testing.T) {
	type loop struct{ Next *loop }
	ring := &loop{}
	ring.Next = ring
	for name, v := range map[string]any{"channel": make(chan int), "function": func() {}, "channel inside": []any{make(chan int)}, "ring": ring} {
		for _, c := range []protocol.Codec{protocol.JSON, protocol.MessagePack} {
			b, err := c.Append([]byte("x"), &protocol.Message{Type: protocol.Invocation, Target: "Push", Args: protocol.Values(1, v)})
			if err == nil || string(b) != "x" {
				t.Errorf("%s in %s: %q, %v", name, c.Name(), b, err)
			}
		}
	}
	if b, err := protocol.JSON.Append(nil, &protocol.Message{Type: 10}); err == nil {
		t.Errorf("a type that is none: %q", b)
	}
}
