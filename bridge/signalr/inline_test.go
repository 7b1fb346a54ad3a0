package signalr_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// TestLongAndShortCalls: calls of all lengths are answered in order, alone and
// several at once, and the reader is there for whoever waits for it.
func TestLongAndShortCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
			s.Handle("Take", func(ctx context.Context, c *signalr.Call) (any, error) {
				var d time.Duration
				if err := c.Bind(&d); err != nil {
					return nil, err
				}
				select {
				case <-time.After(d):
					return d, nil
				case <-ctx.Done():
					return -1, nil
				}
			})
		})
		r := h.greeted(t, "")
		id, asked := 0, ""
		ask := func(d time.Duration) {
			id++
			asked += fmt.Sprintf(`{"type":1,"invocationId":"%d","target":"Take","arguments":[%d]}`+"\x1e", id, d)
		}
		answers := func(of ...time.Duration) {
			t.Helper()
			for i, d := range of {
				r.want(fmt.Sprintf(`{"type":3,"invocationId":"%d","result":%d}`, id-len(of)+i+1, d))
			}
		}
		lengths := []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 5 * time.Millisecond, 0, time.Second, 0}
		for _, d := range lengths { // one after the other
			ask(d)
			r.send(asked)
			asked = ""
			answers(d)
		}
		for _, d := range lengths { // all in one message
			ask(d)
		}
		r.send(asked)
		asked = ""
		answers(lengths...)
		for _, d := range lengths { // each in its own, before the answers
			ask(d)
			r.send(asked)
			asked = ""
		}
		answers(lengths...)
		for range 3 { // cancelled while it runs
			ask(time.Hour)
			r.send(asked)
			asked = ""
			synctest.Wait()
			r.send(fmt.Sprintf(`{"type":5,"invocationId":"%d"}`+"\x1e", id))
			answers(-1)
		}
	})
}

// TestCallInUnfinishedMessage: a call is run though the WebSocket message in
// which it came has no end yet.
func TestCallInUnfinishedMessage(t *testing.T) {
	h := newSite(t, signalr.Config{}, nil)
	d := websocket.Dialer{NetDialContext: h.pipe.Dial}
	ws, _, err := d.Dial("ws://hub.test/hub", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	_ = ws.WriteMessage(websocket.TextMessage, []byte(hello))
	if _, p, err := ws.ReadMessage(); err != nil || string(p) != "{}\x1e" {
		t.Fatalf("%q, %v", p, err)
	}
	part := `{"type":1,"invocationId":"1","target":"Void","arguments":[]}` + "\x1e" + `{"type":1,`
	const text, masked = 1, 0x80 // not final
	if _, err := ws.NetConn().Write(append([]byte{text, masked | byte(len(part)), 0, 0, 0, 0}, part...)); err != nil {
		t.Fatal(err)
	}
	if _, p, err := ws.ReadMessage(); err != nil || string(p) != `{"type":3,"invocationId":"1"}`+"\x1e" {
		t.Fatalf("%q, %v", p, err)
	}
}
