package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
)

// line is what the scripts of js/ print.
type line struct {
	ID         int
	Result     json.RawMessage
	Item       json.RawMessage // of a stream
	Error      *string
	Event      string
	Args       []json.RawMessage
	State      string
	Connection string
	Ready      string
	Work       *int  // of classic.mjs: ReceiveWork came with so many arguments
	Busy       *bool // of classic.mjs: ReceiveWorkStatus
	Start, End int64 // of classic.mjs: Unix milliseconds
}

// npm is a client on the npm package @microsoft/signalr.
type npm struct {
	*program
	last int
}

// npm starts a client and returns when it is connected.
func (h *hub) npm(url ...string) *npm {
	h.t.Helper()
	if len(url) == 0 {
		url = []string{h.hubURL()}
	}
	p := script(h.t, "client.mjs", url[0])
	heard(p, 0, "connection", func(l line) bool { return l.State == "connected" })
	return &npm{program: p}
}

// hubURL is the address of the hub for SignalR clients.
func (h *hub) hubURL() string { return h.ready.HTTP + "/hubs/devices" }

// begin calls a method and answers the number of the call.
func (n *npm) begin(how, method string, args ...any) int {
	n.t.Helper()
	n.last++
	if args == nil {
		args = []any{}
	}
	n.say(map[string]any{"id": n.last, how: method, "args": args})
	return n.last
}

// item waits for an item of a stream that fits.
func (n *npm) item(id, mark int, fits func(json.RawMessage) bool) (after int) {
	n.t.Helper()
	_, after = heard(n.program, mark, fmt.Sprintf("item of stream %d", id), func(l line) bool { return l.ID == id && l.Item != nil && fits(l.Item) })
	return after
}

// finish waits for the answer to a call.
func (n *npm) finish(id int) line {
	n.t.Helper()
	l, _ := heard(n.program, 0, fmt.Sprintf("answer to call %d", id), func(l line) bool { return l.ID == id })
	return l
}

// invoke calls a method, which must succeed.
func (n *npm) invoke(method string, args ...any) json.RawMessage {
	n.t.Helper()
	l := n.finish(n.begin("invoke", method, args...))
	if l.Error != nil {
		n.t.Fatalf("%s%v: %s", method, args, *l.Error)
	}
	return l.Result
}

// refused calls a method, which must fail, and answers the error's text.
func (n *npm) refused(method string, args ...any) string {
	n.t.Helper()
	l := n.finish(n.begin("invoke", method, args...))
	if l.Error == nil {
		n.t.Fatalf("%s%v: answered %s, want an error", method, args, l.Result)
	}
	return *l.Error
}

// event waits for an event that fits.
func (n *npm) event(mark int, name string, fits func(args []json.RawMessage) bool) (args []json.RawMessage, after int) {
	n.t.Helper()
	l, after := heard(n.program, mark, name, func(l line) bool { return l.Event == name && fits(l.Args) })
	return l.Args, after
}

// about fits events whose first argument reads as a T that fits.
func about[T any](fits func(T) bool) func([]json.RawMessage) bool {
	return func(args []json.RawMessage) bool {
		var v T
		return len(args) == 1 && json.Unmarshal(args[0], &v) == nil && fits(v)
	}
}

// hears fits events whose arguments are these, as JSON.
func hears(t testing.TB, want ...any) func([]json.RawMessage) bool {
	t.Helper()
	if want == nil {
		want = []any{}
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	return func(args []json.RawMessage) bool {
		if args == nil {
			args = []json.RawMessage{}
		}
		g, err := json.Marshal(args)
		return err == nil && string(g) == string(w)
	}
}
