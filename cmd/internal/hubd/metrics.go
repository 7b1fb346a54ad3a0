package hubd

import (
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tacet-hub/tacet/cmd/internal/counted"
)

// metrics serves what every part counts. A part counts by atomics and offers a
// Stats struct; each number of it is a metric tacet_PART_FIELD, so that a new
// counter is exported without a line here.
func (h *Hub) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		parts{start: h.start, version: h.opt.Version, node: h.cfg.Node, stats: h.nodeStats(h.brokerStats(map[string]func() any{
			"store":     func() any { return h.store.Stats() },
			"arbiter":   func() any { return h.arbiter.Stats() },
			"peers":     func() any { return h.peers.Stats() },
			"proof":     func() any { return h.proof.Stats() },
			"clips":     func() any { return h.clips.Stats() },
			"clips_web": func() any { return h.sent.stats() },
			"speech":    func() any { return h.voice.Stats() },
			"orders":    func() any { return h.orders.Stats() },
			"scheduler": func() any { return h.schedule.Stats() },
			"hub":       func() any { return h.signalr.Stats() },
			"devices":   func() any { return h.devices.Stats() },
			"registry":  func() any { return h.registry.Stats() },
			"history":   func() any { return h.history.Stats() },
			"replay":    func() any { return h.past.Stats() },
			"pump":      func() any { return h.pump.Stats() },
			"view":      func() any { return h.view.Stats() },
			"api":       func() any { return h.api.Stats() },
			"requests":  func() any { return h.requests.Stats() },
			"auth":      func() any { return h.auth.Stats() },
			"sign_in":   func() any { return h.signInStats() },
			"alerts":    func() any { return h.alerts.Stats() },
			"web":       func() any { return h.newcomers.stats() },
			"tls":       func() any { return h.certs.stats() },
			"updates":   func() any { return h.updates.stats() },
			"last_seen": func() any { return h.seen.Stats() },
			"absences":  func() any { return h.absences.Stats() },
			"rollouts":  func() any { return h.rollouts.Stats() },
		}))},
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// brokerStats adds the broker that there is, and each bridge by its name.
func (h *Hub) brokerStats(to map[string]func() any) map[string]func() any {
	if h.broker != nil {
		to["broker"] = func() any { return h.broker.Stats() }
	} else {
		to["external"] = func() any { return h.outside.Stats() }
	}
	if h.shown != nil {
		to["home_assistant"] = func() any { return h.shown.Stats() }
	}
	for _, b := range h.bridges {
		to["bridge_"+strings.ReplaceAll(b.name, "-", "_")] = func() any { return b.Stats() }
	}
	return to
}

// parts reads every part's Stats when it is asked.
type parts struct {
	start         time.Time
	version, node string
	stats         map[string]func() any
}

// Describe says nothing: the metrics are what the structs have.
func (p parts) Describe(chan<- *prometheus.Desc) {}

// Collect sends one metric for each number.
func (p parts) Collect(out chan<- prometheus.Metric) {
	info := prometheus.NewDesc("tacet_info", "Version and node; always 1.", []string{"version", "node"}, nil)
	out <- prometheus.MustNewConstMetric(info, prometheus.GaugeValue, 1, p.version, p.node)
	up := prometheus.NewDesc("tacet_uptime_seconds", "Time since the hub was made.", nil, nil)
	out <- prometheus.MustNewConstMetric(up, prometheus.GaugeValue, time.Since(p.start).Seconds())
	for part, stats := range p.stats {
		collect(out, "tacet_"+part, reflect.ValueOf(stats()))
	}
}

func collect(out chan<- prometheus.Metric, prefix string, v reflect.Value) {
	for f, field := range v.Fields() {
		switch name := prefix + "_" + counted.Name(f.Name); {
		case f.Anonymous:
			collect(out, prefix, field)
		case field.Type() == reflect.TypeFor[time.Duration]():
			send(out, name+"_seconds", f.Name, time.Duration(field.Int()).Seconds())
		case field.CanInt():
			send(out, name, f.Name, float64(field.Int()))
		case field.CanUint():
			send(out, name, f.Name, float64(field.Uint()))
		case field.Kind() == reflect.Map:
			for k, n := range field.Seq2() {
				desc := prometheus.NewDesc(name, f.Name+" by reason.", []string{"reason"}, nil)
				out <- prometheus.MustNewConstMetric(desc, prometheus.UntypedValue, float64(n.Uint()), k.String())
			}
		}
	}
}

func send(out chan<- prometheus.Metric, name, field string, v float64) {
	out <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, field+", as Stats of the part has it.", nil, nil), prometheus.UntypedValue, v)
}
