package nets

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// ear is a client of the broker on a host, from that host itself: it hears whatever
// is cut, and comes back when the broker does.
type ear struct {
	t    *testing.T
	name string
	link *uplink.Client

	mu     sync.Mutex
	newest map[string]area.Message // by topic
}

// listen begins to listen at the broker of a host, as one of the gates, to what the
// area says of itself.
func (h *host) listen(user area.DeviceID, password string) *ear {
	h.t.Helper()
	e := &ear{t: h.t, name: "the broker on " + h.name, newest: map[string]area.Message{}}
	link, err := uplink.New(uplink.Config{
		Hubs: []string{fmt.Sprintf("mqtt://%s:%d", h.addr, mqttPort)}, ClientID: fmt.Sprintf("%s:ear", user), Username: string(user), Password: password,
		Dial: func(ctx context.Context, hub *url.URL) (net.Conn, error) { return h.dial(ctx, "tcp", hub.Host) },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	e.link = link
	for _, topic := range []string{area.LeaderTopic("north"), area.BusyTopic("north")} {
		if _, err := link.Subscribe(topic, e.hear); err != nil {
			h.t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = link.Run(ctx) })
	h.t.Cleanup(func() { stop(); work.Wait() })
	return e
}

func (e *ear) hear(m area.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.newest[m.Topic] = m
}

// leads waits until the broker says of who arbitrates what fits.
func (e *ear) leads(what string, fits func(area.Leader) bool) (l area.Leader) {
	e.t.Helper()
	until(e.t, fmt.Sprintf("%s says that %s", e.name, what), func() (bool, string) {
		said, ok := e.leader()
		l = said
		return ok && fits(l), fmt.Sprintf("%+v", l)
	})
	return l
}

// leader is what the broker says now, if anything.
func (e *ear) leader() (l area.Leader, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	ok = json.Unmarshal(e.newest[area.LeaderTopic("north")].Payload, &l) == nil
	return l, ok
}

// submit hands a work in at the broker; it is said until it is queued.
func (e *ear) submit(s area.Submit) {
	e.t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		e.t.Fatal(err)
	}
	m := area.Message{Topic: area.SubmitTopic("north"), Payload: b, QoS: 1}
	until(e.t, fmt.Sprintf("work %s is handed in at %s", s.Work, e.name), func() (bool, string) {
		err := e.link.Publish(e.t.Context(), m)
		return err == nil, fmt.Sprint(err)
	})
}
