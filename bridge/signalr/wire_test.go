package signalr_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

const parted = `{"type":7,"error":"Connection closed with an error. InvalidDataException: %s"}`

func TestHandshake(t *testing.T) {
	for _, tc := range []struct {
		name string
		send []string
		want []string
	}{
		{"plain", []string{hello}, []string{"{}"}},
		{"version 2", []string{`{"protocol":"json","version":2}` + "\x1e"}, []string{"{}"}},
		{"in pieces", []string{hello[:5], hello[5:20], hello[20:]}, []string{"{}"}},
		{"first call in the same frame", []string{hello + `{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}` + "\x1e"},
			[]string{"{}", `{"type":3,"invocationId":"1","result":3}`}},
		{"other protocol", []string{`{"protocol":"blazorpack","version":1}` + "\x1e"},
			[]string{`{"error":"The protocol 'blazorpack' is not supported."}`, "EOF"}},
		{"other version", []string{`{"protocol":"json","version":3}` + "\x1e"},
			[]string{`{"error":"The server does not support version 3 of the 'json' protocol."}`, "EOF"}},
		{"no handshake", []string{`{"type":6}` + "\x1e"},
			[]string{`{"error":"An unexpected error occurred during connection handshake. InvalidDataException: missing required property 'protocol'"}`, "EOF"}},
		{"endless", []string{strings.Repeat(" ", 20_000), strings.Repeat(" ", 20_000)},
			[]string{`{"error":"An unexpected error occurred during connection handshake. InvalidDataException: The maximum message size of 32768B was exceeded."}`, "EOF"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newSite(t, signalr.Config{}, nil)
			r := h.raw(t, "")
			for _, s := range tc.send {
				r.send(s)
			}
			r.want(tc.want...)
		})
	}
}

func TestRecords(t *testing.T) {
	big := strings.Repeat("x", 32<<10)
	for _, tc := range []struct {
		name string
		send []string // after the handshake; each one is a WebSocket message
		want []string
	}{
		{"several in a frame", []string{`{"type":6}` + "\x1e" + `{"type":1,"invocationId":"1","target":"Add","arguments":[1,2]}` + "\x1e" + `{"type":1,"invocationId":"2","target":"Void","arguments":[]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1","result":3}`, `{"type":3,"invocationId":"2"}`}},
		{"one in several frames", []string{`{"invocationId":"1","ty`, `pe":1,"target":"Add","arguments":[1`, `,2]}`, "\x1e"},
			[]string{`{"type":3,"invocationId":"1","result":3}`}},
		{"no answer without id", []string{`{"type":1,"target":"Nope","arguments":[]}` + "\x1e" + `{"type":1,"target":"Fail","arguments":[]}` + "\x1e" + `{"type":1,"invocationId":"1","target":"Void","arguments":[]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1"}`}},
		{"unknown type ignored", []string{`{"type":77}` + "\x1e" + `{"type":1,"invocationId":"1","target":"Void","arguments":[]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1"}`}},
		{"late answers ignored", []string{`{"type":2,"invocationId":"9","item":1}` + "\x1e" + `{"type":3,"invocationId":"9"}` + "\x1e" + `{"type":5,"invocationId":"9"}` + "\x1e" + `{"type":8,"sequenceId":1}` + "\x1e" + `{"type":1,"invocationId":"1","target":"Void","arguments":[]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1"}`}},
		{"stream of a plain method", []string{`{"type":4,"invocationId":"1","target":"Add","arguments":[1,2]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1","error":"The client attempted to invoke the non-streaming 'Add' method with a streaming invocation."}`}},
		{"stream of an unknown method", []string{`{"type":4,"invocationId":"1","target":"Nope","arguments":[]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1","error":"Unknown hub method 'Nope'"}`}},
		{"upload to a plain method", []string{`{"type":1,"invocationId":"1","target":"Void","arguments":[],"streamIds":["2"]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Void' on the server. HubException: Client sent 1 stream(s), Hub method expects 0."}`}},
		{"cancel", []string{`{"type":1,"invocationId":"1","target":"Wait","arguments":[]}` + "\x1e" + `{"type":5,"invocationId":"1"}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Wait' on the server. HubException: cancelled"}`}},
		{"cancel of a call that waits", []string{`{"type":1,"invocationId":"1","target":"Wait","arguments":[]}` + "\x1e" + `{"type":1,"invocationId":"2","target":"Wait","arguments":[]}` + "\x1e" + `{"type":5,"invocationId":"2"}` + "\x1e" + `{"type":5,"invocationId":"1"}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1","error":"An unexpected error occurred invoking 'Wait' on the server. HubException: cancelled"}`,
				`{"type":3,"invocationId":"2","error":"An unexpected error occurred invoking 'Wait' on the server. HubException: cancelled"}`}},
		{"longer in sum than one may be", []string{strings.Repeat(`{"type":6,"x":"`+big[:5000]+`"}`+"\x1e", 20) + `{"type":1,"invocationId":"1","target":"Void","arguments":[]}` + "\x1e"},
			[]string{`{"type":3,"invocationId":"1"}`}},
		{"too big", []string{`{"type":1,"target":"Echo","arguments":["` + big + `"]}` + "\x1e"},
			[]string{fmt.Sprintf(parted, "The maximum message size of 32768B was exceeded."), "EOF"}},
		{"no JSON", []string{"{]\x1e"}, []string{fmt.Sprintf(parted, "error reading JSON"), "EOF"}},
		{"no type", []string{"{}\x1e"}, []string{fmt.Sprintf(parted, "missing required property 'type'"), "EOF"}},
		{"nothing runs after a fault", []string{"{}\x1e" + `{"type":1,"invocationId":"1","target":"Void","arguments":[]}` + "\x1e"},
			[]string{fmt.Sprintf(parted, "missing required property 'type'"), "EOF"}},
		{"client closes", []string{`{"type":7}` + "\x1e"}, []string{"EOF"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newSite(t, signalr.Config{}, nil)
			r := h.greeted(t, "")
			for _, s := range tc.send {
				r.send(s)
			}
			r.want(tc.want...)
		})
	}
}

func TestTimeouts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		run   func(t *testing.T, h *site) *raw
		after time.Duration // at most a sweep later
		want  []string
	}{
		{"no handshake", func(t *testing.T, h *site) *raw { return h.raw(t, "") },
			15 * time.Second, []string{`{"error":"Handshake was canceled."}`, "EOF"}},
		{"half a handshake", func(t *testing.T, h *site) *raw { r := h.raw(t, ""); r.send(hello[:5]); return r },
			15 * time.Second, []string{`{"error":"Handshake was canceled."}`, "EOF"}},
		{"ping", func(t *testing.T, h *site) *raw { return h.greeted(t, "") },
			15 * time.Second, []string{`{"type":6}`}},
		{"no ping of the client", func(t *testing.T, h *site) *raw { return h.greeted(t, "") },
			75 * time.Second, []string{`{"type":6}`, `{"type":6}`, `{"type":6}`, `{"type":6}`, `{"type":6}`}},
		{"silence", func(t *testing.T, h *site) *raw { r := h.greeted(t, ""); r.send(`{"type":6}` + "\x1e"); return r },
			30 * time.Second, []string{`{"type":6}`, `{"type":7,"error":"Connection closed with an error.","allowReconnect":true}`, "EOF"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newSite(t, signalr.Config{}, nil)
				r := tc.run(t, h)
				start := time.Now()
				r.want(tc.want...)
				if d := time.Since(start); d < tc.after || d > tc.after+2*time.Second {
					t.Errorf("after %v, want %v", d, tc.after)
				}
			})
		})
	}
}

func TestBytesKeepAClientAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
		r := h.greeted(t, "")
		go func() {
			for r.next() == `{"type":6}` {
			}
		}()
		for range 10 {
			time.Sleep(20 * time.Second)
			r.send(`{"type":6`)
			r.send("}\x1e")
		}
		_ = r.link.Close()
		if err := <-ended; err == nil || err == signalr.ErrSilent {
			t.Errorf("ended with %v, want a broken connection", err)
		}
	})
}

func TestBusyCallsAreNotSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newSite(t, signalr.Config{MaximumQueuedCalls: 1}, func(s *signalr.Server) {
			s.Handle("Slow", func(ctx context.Context, _ *signalr.Call) (any, error) {
				select {
				case <-time.After(20 * time.Second):
				case <-ctx.Done():
				}
				return nil, nil
			})
		})
		r := h.greeted(t, "")
		go func() {
			if err := r.link.Send([]byte(strings.Repeat(`{"type":1,"invocationId":"1","target":"Slow","arguments":[]}`+"\x1e", 5))); err != nil {
				t.Errorf("send: %v", err)
			}
		}()
		for done := 0; done < 4; { // the last call is taken from the socket, and then the client is silent

			switch got := r.next(); got {
			case `{"type":3,"invocationId":"1"}`:
				done++
			case `{"type":6}`:
			default:
				t.Fatalf("got %s after %d calls", got, done)
			}
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 2)
		h := newSite(t, signalr.Config{}, func(s *signalr.Server) { s.OnDisconnect(func(_ *signalr.Conn, err error) { ended <- err }) })
		r := h.greeted(t, "")
		stranger := h.raw(t, "")
		r.send(`{"type":1,"invocationId":"1","target":"Wait","arguments":[]}` + "\x1e")
		synctest.Wait()
		go h.stop()
		r.want(`{"type":7,"allowReconnect":true}`, "EOF")
		stranger.want(`{"error":"Handshake was canceled."}`, "EOF")
		if err := <-ended; err != signalr.ErrDraining {
			t.Errorf("ended with %v", err)
		}
		if w := h.status("POST", hubURL+"/negotiate"); w.Code != 503 {
			t.Errorf("negotiate while draining: %d", w.Code)
		}
		synctest.Wait()
		if s := h.Stats(); s.Connections != 0 || s.Opened != 2 {
			t.Errorf("after the drain: %+v", s)
		}
	})
}
