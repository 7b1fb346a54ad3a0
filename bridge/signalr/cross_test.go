package signalr_test

import (
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// packed is a client that speaks MessagePack.
type packed struct {
	t     *testing.T
	ws    *websocket.Conn
	split *protocol.Splitter
	came  []protocol.Message
}

func (h *site) packed(t *testing.T) *packed {
	t.Helper()
	d := websocket.Dialer{NetDialContext: h.pipe.Dial}
	ws, _, err := d.Dial("ws://hub.test/hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ws.Close() })
	p := &packed{t: t, ws: ws, split: protocol.NewSplitter(1 << 20)}
	p.split.Use(protocol.MessagePack)
	// A call comes in the same frame as the handshake, and is cut in two.
	first := `{"protocol":"messagepack","version":1}` + "\x1e" + "\x0b\x95\x01\x80\xa1"
	_ = ws.WriteMessage(websocket.BinaryMessage, []byte(first))
	_ = ws.WriteMessage(websocket.BinaryMessage, []byte("1\xa4Void\x90"))
	if kind, b, err := ws.ReadMessage(); err != nil || kind != websocket.BinaryMessage || string(b) != "{}\x1e" {
		t.Fatalf("handshake: %d %q %v", kind, b, err)
	}
	if m := p.next(); m.Type != protocol.Completion || m.ID != "1" || m.Result.Present() {
		t.Fatalf("answer to the first call: %+v", m)
	}
	return p
}

func (p *packed) send(m protocol.Message) {
	p.t.Helper()
	b, err := protocol.MessagePack.Append(nil, &m)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.ws.WriteMessage(websocket.BinaryMessage, b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *packed) next() protocol.Message {
	p.t.Helper()
	for len(p.came) == 0 {
		kind, b, err := p.ws.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			p.t.Fatalf("%d, %v", kind, err)
		}
		err = p.split.Feed(b, func(r []byte) error {
			m, err := protocol.MessagePack.Parse([]byte(string(r)))
			p.came = append(p.came, m)
			return err
		})
		if err != nil {
			p.t.Fatal(err)
		}
	}
	m := p.came[0]
	p.came = p.came[1:]
	return m
}

// TestGroupOfBothProtocols: what one member says reaches the others, each in his
// own protocol, and the way back is the same.
func TestGroupOfBothProtocols(t *testing.T) {
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.OnConnect(func(c *signalr.Conn) { _, _ = c.Join("g") })
		s.Handle("Say", func(_ context.Context, c *signalr.Call) (any, error) {
			var what protocol.Value
			if err := c.Bind(&what); err != nil {
				return nil, err
			}
			s.Group("g").Send("Said", what)
			return what, nil
		})
		s.Handle("SayAny", func(_ context.Context, c *signalr.Call) (any, error) {
			var what any
			if err := c.Bind(&what); err != nil {
				return nil, err
			}
			s.Group("g").Send("Said", what)
			return nil, nil
		})
		s.Handle("Nil", func(context.Context, *signalr.Call) (any, error) { return signalr.Null{}, nil })
		s.Handle("Refuse", func(context.Context, *signalr.Call) (any, error) { return nil, signalr.Error("no") })
	})
	text, pack := h.greeted(t, ""), h.packed(t)
	for len(h.Members("g")) < 2 {
		time.Sleep(time.Millisecond) // OnConnect runs behind the answer
	}
	for _, tc := range []struct{ pack, json string }{ // what the one member sends and gets again, and what the other gets
		{"c403010203", `"AQID"`},
		{"d6ff386d4380", `"2000-01-01T00:00:00Z"`},
		{"cf0020000000000001", `9007199254740993`},
		{"cfffffffffffffffff", `18446744073709551615`},
		{"8201a161a162c3", `{"1":"a","b":true}`},
		{"cb3ff8000000000000", `1.5`},
		{"c0", `null`},
		{"91c403010203", `["AQID"]`},
		{"c70205abcd", `"q80="`},
	} {
		for _, method := range []string{"Say", "SayAny"} {
			raw, _ := hex.DecodeString(tc.pack)
			item, err := protocol.MessagePack.Parse(append([]byte("\x94\x02\x80\xa1x"), raw...))
			if err != nil {
				t.Fatal(tc, err)
			}
			pack.send(protocol.Message{Type: protocol.Invocation, Target: method, Args: []protocol.Value{item.Item}})
			got, err := protocol.MessagePack.Append(nil, &protocol.Message{Type: protocol.StreamItem, ID: "x", Item: pack.next().Args[0]})
			if err != nil || !strings.HasSuffix(hex.EncodeToString(got), tc.pack) && method == "Say" {
				t.Errorf("%s %s came back as %x, %v", method, tc.pack, got, err)
			}
			text.want(`{"type":1,"target":"Said","arguments":[` + tc.json + `]}`)
		}
	}
	text.send(`{"type":1,"target":"Say","arguments":[{"a":[1,9007199254740993,-1.5,null]}]}` + "\x1e")
	text.want(`{"type":1,"target":"Said","arguments":[{"a":[1,9007199254740993,-1.5,null]}]}`)
	if m := pack.next(); string(m.Args[0].JSON()) != `{"a":[1,9007199254740993,-1.5,null]}` {
		t.Errorf("JSON came as %s", m.Args[0].JSON())
	}
	pack.send(protocol.Message{Type: protocol.Invocation, ID: "2", Target: "Nil", Args: []protocol.Value{}})
	if m := pack.next(); m.ID != "2" || !m.Result.Null() {
		t.Errorf("null came as %+v", m)
	}
	pack.send(protocol.Message{Type: protocol.Invocation, ID: "3", Target: "Refuse", Args: []protocol.Value{}})
	if m := pack.next(); m.ID != "3" || !m.Failed || !strings.HasSuffix(m.Error, "HubException: no") {
		t.Errorf("an error came as %+v", m)
	}
}

// TestHostilePrefixes: a length that is a lie costs its sender the connection,
// and nobody else anything.
func TestHostilePrefixes(t *testing.T) {
	for name, tc := range map[string]struct {
		bytes string
		code  int
	}{
		"34 GB":         {"\xff\xff\xff\xff\x7f", 1000},
		"2 GB":          {"\xff\xff\xff\xff\x07", 1009},
		"above limit":   {"\x81\x80\x02", 1009},
		"six bytes":     {"\x80\x80\x80\x80\x80\x01", 1000},
		"nothing":       {"\x00", 1000},
		"nothing, long": {"\x80\x00", 1000},
		"huge array":    {"\x05\xdd\x7f\xff\xff\xff", 1000},
		"no array":      {"\x01\xc0", 1000},
		"cut short":     {"\x02\x95\x01", 1000},
		"odd byte":      {"\x02\x91\xc1", 1000},
	} {
		h := newSite(t, signalr.Config{}, nil)
		bad, good := h.packed(t), h.packed(t)
		_ = bad.ws.WriteMessage(websocket.BinaryMessage, []byte(tc.bytes))
		if m := bad.next(); m.Type != protocol.Close || m.Error == "" || m.AllowReconnect {
			t.Errorf("%s: %+v", name, m)
		}
		_, _, err := bad.ws.ReadMessage()
		if closed, ok := err.(*websocket.CloseError); !ok || closed.Code != tc.code {
			t.Errorf("%s: ended with %v, want %d", name, err, tc.code)
		}
		good.send(protocol.Message{Type: protocol.Invocation, ID: "9", Target: "Void", Args: []protocol.Value{}})
		if m := good.next(); m.ID != "9" || m.Failed {
			t.Errorf("%s: another client got %+v", name, m)
		}
	}
}

// TestKindOfFrame: the protocol decides whether a message is text or binary, also
// where its first byte could be that of JSON.
func TestKindOfFrame(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	p := h.packed(t)
	p.send(protocol.Message{Type: protocol.Invocation, ID: "1", Target: "Echo", Args: protocol.Values(strings.Repeat("x", '{'-8))})
	kind, b, err := p.ws.ReadMessage()
	if err != nil || kind != websocket.BinaryMessage || b[0] != '{' {
		t.Errorf("kind %d, %.20q, %v; want binary, and a first byte {", kind, b, err)
	}
}
