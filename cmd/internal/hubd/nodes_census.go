package hubd

import (
	"runtime/metrics"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/bridge/window"
	"github.com/tacet-hub/tacet/broker/area"
)

// makeCensus lists the nodes, of which this process may be the only one.
func (h *Hub) makeCensus() (err error) {
	var mux *backplane.Mux
	if h.nodes != nil {
		mux = h.nodes.mux
	}
	about := (&aboutUs{h: h}).report
	h.census, err = census.New(census.Config{Self: h.cfg.Node}, mux, about, time.Now)
	return err
}

// aboutUs is what this node tells the others of itself.
type aboutUs struct {
	h *Hub

	mu       sync.Mutex
	at       time.Time
	messages uint64 // by then
	perS     float64
}

func (a *aboutUs) report() census.Report {
	h := a.h
	r := h.readiness()
	state, _ := h.health.judge()
	out := census.Report{
		Kind: census.KindHub, State: string(state), Version: h.opt.Version, StartedAt: area.At(h.start), HTTP: &r.HTTP, MQTT: textOrNil(r.MQTT),
		Connections: census.Connections{Web: h.signalr.Stats().Connections}, Areas: append([]area.Name{}, h.arbiter.Owned()...),
		MessagesS: a.rate(time.Now(), h.pump.Stats().Messages), MemoryBytes: memory(), Backplane: census.Backplane{Mode: "memory", Connected: true},
	}
	if h.broker != nil {
		out.Connections.MQTT = int64(h.broker.Stats().Connections)
	}
	if n := h.nodes; n != nil {
		s := n.mux.Plane().Stats()
		out.Backplane = census.Backplane{Mode: "redis", Connected: s.Connected, Missed: s.Missed, Losses: s.Losses}
	}
	return out
}

// rateOver is the least time over which messages are counted.
const rateOver = 2 * time.Second

// rate is how many messages a second there were, newly counted now and then.
func (a *aboutUs) rate(now time.Time, messages uint64) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch past := now.Sub(a.at); {
	case a.at.IsZero():
		a.at, a.messages = now, messages
	case past >= rateOver:
		a.perS = float64(messages-a.messages) / past.Seconds()
		a.at, a.messages = now, messages
	}
	return a.perS
}

// memory is what the process has of the system and has not given back, in bytes.
func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// shows is who tells nodes without a broker what this one tells its own connections;
// nil: there are no others.
func (h *Hub) shows() *window.Source {
	if h.nodes == nil {
		return nil
	}
	return h.nodes.shows
}

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
