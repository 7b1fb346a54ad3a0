package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// wire is a bus with one subscriber.
type wire struct {
	enqueue func(area.Message)
	on      chan struct{} // closed when there is one
	out     chan area.Message
}

func (w *wire) Publish(ctx context.Context, batch ...area.Message) error {
	for _, m := range batch {
		select {
		case w.out <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (w *wire) Subscribe(filter string, enqueue func(area.Message)) (func(), error) {
	if filter != "tacet/request/+/+" {
		return nil, fmt.Errorf("filter %s", filter)
	}
	w.enqueue = enqueue
	close(w.on)
	return func() {}, nil
}

// newDesk runs a desk, on which clients are who their id says.
func newDesk(t *testing.T, room int) (*wire, *Desk, *world) {
	t.Helper()
	people := map[string]auth.Principal{
		"operator": {Name: "operator", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleAdmin}, Areas: []string{"*"}},
		"viewer":   {Name: "viewer", Kind: auth.KindUser, Tenant: auth.DefaultTenant, Roles: []string{auth.RoleViewer}, Areas: []string{"*"}},
	}
	w, b := newWorld(t), &wire{on: make(chan struct{}), out: make(chan area.Message, room)}
	d, err := NewDesk(DeskParts{
		Bus: b, API: w.api, Principal: func(m area.Message) (auth.Principal, bool) { p, ok := people[m.From]; return p, ok },
		MayAnswer: func(_ auth.Principal, topic string) bool { return strings.HasPrefix(topic, "mine/") },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() {
		if err := d.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); runs.Wait() })
	<-b.on
	return b, d, w
}

func TestDesk(t *testing.T) {
	b, d, w := newDesk(t, 16)
	for _, c := range []struct {
		name, topic, payload string
		from                 string // default operator
		reply                *area.Reply
		to                   string // default tacet/response/t; "-": no answer
		want                 string // is in the answer
	}{
		{name: "get", topic: "areas/get", payload: `{"transaction":"t","id":"north"}`, want: `"status":200,"body":{"id":"north"`},
		{name: "list", topic: "areas/list", payload: `{"transaction":"t","query":{"limit":1,"after":null}}`, want: `"status":200,"body":{"items":[{"id":"north"`},
		{name: "an id with a slash", topic: "devices/get", payload: `{"transaction":"t","id":"hall/α β%"}`, want: `"body":{"id":"hall/α β%"`},
		{name: "create", topic: "orders/create", payload: `{"transaction":"t","body":{"id":"o-1","to":{"area":"north"},"message":"x"}}`, want: `"status":202,"body":{"id":"o-1"`},
		{name: "of an order", topic: "orders/get", payload: `{"transaction":"t","id":"o-1"}`, want: `"status":200,"body":{"id":"o-1"`},
		{name: "delete", topic: "orders/delete", payload: `{"transaction":"t","id":"o-1"}`, want: `"status":200,"body":{"id":"o-1"`},
		{name: "sub", topic: "areas/create", payload: `{"transaction":"t","id":"north","sub":"stop"}`, want: `"status":200,"body":{"stopped":[`},
		{name: "no body", topic: "orders/create", payload: `{"transaction":"t"}`, want: `"status":400,"body":{"type":"urn:tacet:error:bad_request"`},
		{name: "its error", topic: "orders/create", payload: `{"transaction":"t"}`, want: `"error":{"code":"bad_request","detail":"the body is empty`},
		{name: "nothing there", topic: "areas/get", payload: `{"transaction":"t","id":"west"}`, want: `"error":{"code":"not_found"`},
		{name: "no resource", topic: "x y/list", payload: `{"transaction":"t"}`, want: `"status":404,"body":null,"error":{"code":"not_found"`},
		{name: "an unknown one", topic: "cups/list", payload: `{"transaction":"t"}`, want: `"error":{"code":"not_found"`},
		{name: "no verb", topic: "areas/grow", payload: `{"transaction":"t"}`, want: `"status":405,"body":null,"error":{"code":"method"`},
		{name: "a way out", topic: "areas/get", payload: `{"transaction":"t","id":".."}`, want: `"error":{"code":"not_found"`},
		{name: "another way out", topic: "areas/get", payload: `{"transaction":"t","id":"north","sub":"../../stop"}`, want: `"error":{"code":"not_found"`},
		{name: "get without id", topic: "areas/get", payload: `{"transaction":"t"}`, want: `"error":{"code":"bad_request"`},
		{name: "a query that is none", topic: "areas/list", payload: `{"transaction":"t","query":{"limit":[1]}}`, want: `"error":{"code":"invalid","detail":"query.limit: `},
		{name: "a secret", topic: "tokens/create", payload: `{"transaction":"t","body":{}}`, want: `"error":{"code":"forbidden"`},
		{name: "all secrets", topic: "backup/list", payload: `{"transaction":"t"}`, want: `"error":{"code":"forbidden"`},
		{name: "no right", topic: "orders/create", from: "viewer", payload: `{"transaction":"t","body":{"to":{"area":"north"},"message":"x"}}`, want: `"error":{"code":"forbidden"`},
		{name: "a stranger", topic: "areas/list", from: "nobody", payload: `{"transaction":"t"}`, to: "-"},
		{name: "no JSON", topic: "areas/list", payload: `list`, to: "-"},
		{name: "no transaction", topic: "areas/list", payload: `{}`, to: "-"},
		{name: "no level", topic: "areas/list", payload: `{"transaction":"a/b"}`, to: "-"},
		{name: "MQTT 5", topic: "areas/get", payload: `{"id":"north"}`, reply: &area.Reply{Topic: "mine/answers", Correlation: []byte{1, 2}}, to: "mine/answers", want: `{"transaction":"","status":200,"body":{"id":"north"`},
		{name: "MQTT 5, no JSON", topic: "areas/get", payload: `x`, reply: &area.Reply{Topic: "mine/answers"}, to: "mine/answers", want: `"status":400`},
		{name: "MQTT 5, response topic", topic: "areas/get", payload: `{"id":"north"}`, reply: &area.Reply{Topic: "tacet/response/x"}, to: "tacet/response/x", want: `"status":200`},
		{name: "MQTT 5, elsewhere", topic: "areas/get", payload: `{"id":"north","transaction":"t"}`, reply: &area.Reply{Topic: "tacet/area/north/busy"}, want: `"status":200`},
		{name: "MQTT 5, a filter", topic: "areas/get", payload: `{"id":"north"}`, reply: &area.Reply{Topic: "mine/#"}, to: "-"},
	} {
		m := area.Message{Topic: "tacet/request/" + c.topic, Payload: []byte(c.payload), From: "operator", Reply: c.reply}
		if c.from != "" {
			m.From = c.from
		}
		if c.to == "" {
			c.to = "tacet/response/t"
		}
		before := d.Stats()
		b.enqueue(m)
		if c.to == "-" { // the next of the same client tells that this one is over
			b.enqueue(area.Message{Topic: "tacet/request/areas/get", Payload: []byte(`{"transaction":"next"}`), From: m.From})
			if m.From == "operator" {
				if a := <-b.out; a.Topic != "tacet/response/next" {
					t.Errorf("%s: answered on %s", c.name, a.Topic)
				}
				if s := d.Stats(); s.Malformed != before.Malformed+1 {
					t.Errorf("%s: not counted: %+v", c.name, s)
				}
			}
			continue
		}
		a := <-b.out
		if a.Topic != c.to || !strings.Contains(string(a.Payload), c.want) || a.QoS != 1 || a.Retain {
			t.Errorf("%s: on %s %s, want on %s …%s", c.name, a.Topic, a.Payload, c.to, c.want)
		}
		if c.reply != nil && string(a.Reply.Correlation) != string(c.reply.Correlation) {
			t.Errorf("%s: correlation %v", c.name, a.Reply)
		}
		var out struct{ Transaction string }
		if json.Unmarshal(a.Payload, &out) != nil || strings.Contains(c.payload, `"t"`) != (out.Transaction == "t") {
			t.Errorf("%s: transaction %q", c.name, out.Transaction)
		}
	}
	_ = w
}

// TestDeskRetained: a request that the broker kept was answered when it came.
func TestDeskRetained(t *testing.T) {
	b, d, _ := newDesk(t, 4)
	b.enqueue(area.Message{Topic: "tacet/request/areas/list", Payload: []byte(`{"transaction":"old"}`), From: "operator", Replay: true})
	b.enqueue(area.Message{Topic: "tacet/request/areas/list", Payload: []byte(`{"transaction":"new"}`), From: "operator"})
	if a := <-b.out; a.Topic != "tacet/response/new" || d.Stats().Malformed != 0 {
		t.Errorf("answered on %s", a.Topic)
	}
}

// TestDeskIsBounded: where too many requests wait the next are told so, and
// those beyond that are counted; the same key is one request.
func TestDeskIsBounded(t *testing.T) {
	b, d, _ := newDesk(t, 0) // nobody takes an answer yet
	const sent = 3 * deskQueue
	for n := range sent {
		b.enqueue(area.Message{Topic: "tacet/request/areas/list", Payload: fmt.Appendf(nil, `{"transaction":"%d"}`, n), From: "operator"})
	}
	full := int(d.Stats().Full)
	if full < sent-deskQueue-1 {
		t.Errorf("%d found no room", full)
	}
	served, turned := 0, 0
	late := time.After(time.Minute)
	for served < sent-full || turned < min(full, deskQueue) {
		select {
		case a := <-b.out:
			if strings.Contains(string(a.Payload), `"code":"rate"`) {
				turned++
			} else {
				served++
			}
		case <-late:
			t.Fatalf("%d served, %d turned away, %d full", served, turned, full)
		}
	}
	for range 2 {
		b.enqueue(area.Message{Topic: "tacet/request/orders/create", From: "operator",
			Payload: []byte(`{"transaction":"t","idempotency_key":"k","body":{"to":{"area":"north"},"message":"x"}}`)})
	}
	var same []string
	for len(same) < 2 { // beside one more that was turned away, if a worker had it in hand
		if a := <-b.out; a.Topic == "tacet/response/t" {
			same = append(same, string(a.Payload))
		}
	}
	if same[0] != same[1] {
		t.Errorf("%s\n%s", same[0], same[1])
	}
}

func TestNewDeskRefuses(t *testing.T) {
	if _, err := NewDesk(DeskParts{}, nil); err == nil {
		t.Error("a desk without parts")
	}
}
