package api

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

var scheduleRoutes = []route{
	{http.MethodGet, "/schedules", auth.Read, (*API).listSchedules},
	{http.MethodPost, "/schedules", auth.Operate, (*API).createSchedule},
	{http.MethodGet, "/schedules/{schedule}", auth.Read, (*API).getSchedule},
	{http.MethodPut, "/schedules/{schedule}", auth.Operate, (*API).putSchedule},
	{http.MethodPatch, "/schedules/{schedule}", auth.Operate, (*API).patchSchedule},
	{http.MethodDelete, "/schedules/{schedule}", auth.Operate, (*API).deleteSchedule},
	{http.MethodGet, "/schedules/{schedule}/next", auth.Read, (*API).nextFirings},
}

// mostFirings is the most that next answers.
const mostFirings = 1000

func (a *API) listSchedules(c *call) (answer, error) {
	seen := shown(c, a.Schedules.List(), func(s *area.Schedule) area.Name { return a.whereOf(s.Work.To) })
	return page(c, seen, func(s *area.Schedule) string { return s.ID })
}

func (a *API) getSchedule(c *call) (answer, error) {
	s, err := a.schedule(c, auth.Read)
	if err != nil {
		return answer{}, err
	}
	return ok(s)
}

// schedule is the schedule that the path names, for a caller who may do
// something where it goes.
func (a *API) schedule(c *call, do auth.Action) (area.Schedule, error) {
	id := c.PathValue("schedule")
	s, err := a.Schedules.Get(id)
	if err == nil && c.foreign() {
		err = area.Errorf(area.CodeNotFound, "no schedule %.80q", id)
	}
	if err == nil {
		err = c.may(do, a.whereOf(s.Work.To))
	}
	return s, err
}

// whereOf is the area that a target is in; for one that goes everywhere, or
// that there is no more, it takes a right to all areas.
func (a *API) whereOf(to area.To) area.Name {
	if to.Each != nil {
		return anyArea
	}
	in, err := a.Orders.Where(to)
	if err != nil {
		return anyArea
	}
	return in
}

// scheduleBody is the body of a schedule. What the hub writes (source, next,
// last) may stand there and is ignored, so that what was read can be sent back.
type scheduleBody struct {
	ID       *string         `json:"id"`
	Cron     *string         `json:"cron"`
	Every    *area.Duration  `json:"every"`
	Once     *area.Time      `json:"once"`
	TimeZone string          `json:"time_zone"`
	Work     json.RawMessage `json:"work"`
	Enabled  *bool           `json:"enabled"`
	Source   json.RawMessage `json:"source"`
	Next     json.RawMessage `json:"next"`
	Last     json.RawMessage `json:"last"`
}

func (a *API) createSchedule(c *call) (answer, error) {
	b, err := c.body()
	if err != nil {
		return answer{}, err
	}
	s, err := readSchedule(b, "")
	if err != nil {
		return answer{}, err
	}
	if err := cmp.Or(c.home(), c.may(auth.Operate, a.whereOf(s.Work.To))); err != nil {
		return answer{}, err
	}
	if s.ID == "" {
		s.ID = "s-" + strings.ToLower(rand.Text()[:12])
	}
	if s, err = a.Schedules.Create(c.Context(), s); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: s, location: "/schedules/" + s.ID}, nil
}

func (a *API) putSchedule(c *call) (answer, error) {
	now, err := a.scheduleToWrite(c)
	if err != nil {
		return answer{}, err
	}
	b, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return a.replaceSchedule(c, now.ID, b)
}

func (a *API) patchSchedule(c *call) (answer, error) {
	now, err := a.scheduleToWrite(c)
	if err != nil {
		return answer{}, err
	}
	whole, err := c.patched(now)
	if err != nil {
		return answer{}, err
	}
	return a.replaceSchedule(c, now.ID, whole)
}

func (a *API) replaceSchedule(c *call, id string, body []byte) (answer, error) {
	s, err := readSchedule(body, id)
	if err == nil {
		err = c.may(auth.Operate, a.whereOf(s.Work.To))
	}
	if err != nil {
		return answer{}, err
	}
	if s, err = a.Schedules.Put(c.Context(), s); err != nil {
		return answer{}, err
	}
	return ok(s)
}

func (a *API) deleteSchedule(c *call) (answer, error) {
	now, err := a.scheduleToWrite(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.Schedules.Delete(c.Context(), now.ID); err != nil {
		return answer{}, err
	}
	return nothing()
}

// scheduleToWrite is the schedule that the path names, as the caller knows it.
func (a *API) scheduleToWrite(c *call) (area.Schedule, error) {
	s, err := a.schedule(c, auth.Operate)
	if err != nil {
		return s, err
	}
	return s, c.unchanged(s)
}

func (a *API) nextFirings(c *call) (answer, error) {
	q := c.query()
	n := q.number("n", 1, mostFirings, 10)
	if err := q.err(); err != nil {
		return answer{}, err
	}
	s, err := a.schedule(c, auth.Read)
	if err != nil {
		return answer{}, err
	}
	items, err := a.Schedules.Next(s.ID, n)
	if err != nil {
		return answer{}, err
	}
	if items == nil {
		items = []area.Time{}
	}
	return ok(list[area.Time]{Items: items})
}

// readSchedule checks a body; id is that of the path, empty for a new one. The
// error has every fault that can be seen without the rule's words.
func readSchedule(body []byte, id string) (area.Schedule, error) {
	var b scheduleBody
	if err := area.DecodeRequest(body, &b); err != nil {
		return area.Schedule{}, err
	}
	var bad []area.FieldError
	fault := func(field, message string) { bad = append(bad, area.FieldError{Field: field, Message: message}) }
	s := area.Schedule{ID: id, Cron: b.Cron, Every: b.Every, Once: b.Once, TimeZone: cmp.Or(b.TimeZone, "UTC"), Enabled: b.Enabled == nil || *b.Enabled, Source: area.SourceAPI}
	switch {
	case b.ID == nil:
	case id != "" && *b.ID != id:
		fault("id", "not the one of the path")
	case !area.IsID(*b.ID):
		fault("id", "not 1 to 64 of A-Z a-z 0-9 _ -")
	default:
		s.ID = *b.ID
	}
	if rules := b.rules(); rules != 1 {
		fault("cron", "exactly one of cron, every, once is needed")
	}
	work, err := readWork(b.Work)
	if e, ok := errors.AsType[*area.Error](err); ok {
		if e.Code != area.CodeInvalid {
			return s, e
		}
		bad = append(bad, e.Fields...)
	}
	s.Work = work
	return s, invalid(bad)
}

func (b scheduleBody) rules() (n int) {
	for _, set := range []bool{b.Cron != nil, b.Every != nil, b.Once != nil} {
		if set {
			n++
		}
	}
	return n
}

// readWork reads the order of a schedule; its faults are named work.….
func readWork(raw json.RawMessage) (area.OrderRequest, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return area.OrderRequest{}, area.InvalidField("work", "an order is needed")
	}
	r, err := order.Decode(raw)
	if err == nil && r.ID != nil {
		err = area.InvalidField("id", "each firing makes an order of its own")
	}
	e, ok := errors.AsType[*area.Error](err)
	if !ok {
		return r, err
	}
	out := area.Errorf(e.Code, "work: %s", e.Detail)
	for _, f := range e.Fields {
		out.Fields = append(out.Fields, area.FieldError{Field: "work." + f.Field, Message: f.Message})
	}
	if len(out.Fields) == 0 {
		out.Fields = []area.FieldError{{Field: "work", Message: e.Detail}}
	}
	return r, out
}

// patched is an object with the request's body merged over it (RFC 7396).
func (c *call) patched(now any) ([]byte, error) {
	patch, err := c.body()
	if err != nil {
		return nil, err
	}
	whole, err := json.Marshal(now)
	if err != nil {
		return nil, err
	}
	return mergePatch(whole, patch)
}

// mergePatch applies a merge patch (RFC 7396) to an object.
func mergePatch(whole, patch []byte) ([]byte, error) {
	var p any
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, area.Errorf(area.CodeBadRequest, "the patch is no JSON")
	}
	if _, object := p.(map[string]any); !object {
		return nil, area.Errorf(area.CodeBadRequest, "the patch is no object")
	}
	var w any
	if err := json.Unmarshal(whole, &w); err != nil {
		return nil, err
	}
	return json.Marshal(merge(w, p))
}

// merge is the function of RFC 7396 §2.
func merge(target, patch any) any {
	p, object := patch.(map[string]any)
	if !object {
		return patch
	}
	t, _ := target.(map[string]any)
	if t == nil {
		t = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(t, k)
		} else {
			t[k] = merge(t[k], v)
		}
	}
	return t
}
