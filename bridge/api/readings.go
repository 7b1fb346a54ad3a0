package api

import (
	"net/http"
	"time"

	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var readingRoutes = []route{
	{http.MethodGet, "/readings", auth.Read, (*API).listReadings},
}

// Bounds of a series.
const (
	leastStep   = time.Second
	defaultStep = time.Minute
	mostPoints  = 10_000 // per series
)

// listReadings answers the newest readings, or with from, to or step their
// course.
func (a *API) listReadings(c *call) (answer, error) {
	q := c.query()
	f := registry.Filter{Areas: c.areas()}
	if s := q.id("area"); s != "" {
		f.Area = new(area.Name(s))
	}
	if s := q.text("device"); s != "" {
		f.Device = new(area.DeviceID(s))
	}
	if s := q.text("metric"); s != "" {
		f.Metric = &s
	}
	if s := q.text("channel"); s != "" {
		f.Channel = &s
	}
	if v := c.URL.Query(); v.Has("from") || v.Has("to") || v.Has("step") {
		return a.course(c, q, f)
	}
	if err := q.err(); err != nil {
		return answer{}, err
	}
	return page(c, a.Readings.Readings(f), func(r *area.Reading) string { return registry.KeyOf(r.Device, r.Metric, r.Channel) })
}

func (a *API) course(c *call, q *query, f registry.Filter) (answer, error) {
	from, to := q.instant("from"), q.instant("to")
	step := q.duration("step", leastStep, 24*time.Hour, defaultStep)
	if to.IsZero() {
		to = area.At(a.cfg.Now().Add(time.Millisecond)) // to is left out; what has just come is not
	}
	if from.IsZero() {
		from = area.At(to.Add(-time.Hour))
	}
	switch span := to.Sub(from.Time); {
	case span < 0:
		q.fault("from", "later than to")
	case span/step > mostPoints:
		q.fault("step", "more than 10000 points")
	}
	if err := q.err(); err != nil {
		return answer{}, err
	}
	at, err := c.position()
	if err != nil {
		return answer{}, err
	}
	all, missing := a.Readings.Courses(c.Context(), registry.Course{Filter: f, From: from.Time, To: to.Time, Step: step, After: at.after, Most: at.limit + 1})
	out, err := listOf(c, all, func(s *registry.Series) string { return s.Key() })
	if err != nil {
		return answer{}, err
	}
	return ok(parted[registry.Series]{out, missing})
}
