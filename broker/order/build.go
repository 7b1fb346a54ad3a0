package order

import (
	"errors"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// furthest is how far ahead not_before may be: a year.
const furthest = 366 * 24 * time.Hour

// build makes the order of a request, with its defaults. It is known to nobody
// yet. With sub, the work that came over MQTT, it may have neither message nor
// clip, and keeps its number of priority.
func (s *Service) build(r area.OrderRequest, by By, sub *area.Submit) (*entry, error) {
	now := s.now()
	var f faults
	check(r, &f, sub != nil)
	if r.To.Each != nil && !f.has("to.each") && !f.has("to") {
		f.add("to.each", "only a schedule goes to each location")
	}
	if r.NotBefore != nil && r.NotBefore.After(now.Add(furthest)) {
		f.add("not_before", "more than 366 days ahead")
	}
	e := &entry{ended: make(chan struct{})}
	where, err := s.resolve(r.To, e, &f)
	if err != nil {
		return nil, err
	}
	if by.Redo != "" && by.Redo != area.RedoRetry && by.Redo != area.RedoOnce {
		f.add("redo", "neither retry nor once")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	if by.May != nil {
		if err := by.May(where.ID); err != nil {
			return nil, err
		}
	}
	r = withDefaults(r, where)
	dur, err := s.duration(r, by, sub)
	if err != nil {
		return nil, err
	}
	s.fill(e, r, by, where.ID, dur, now)
	return e, nil
}

// resolve finds the target. Where it is unknown and nothing else is wrong, the
// error says so; else it is one fault among the others.
func (s *Service) resolve(to area.To, e *entry, f *faults) (where area.Area, err error) {
	field := fieldOf(to)
	if to.Keys() != 1 || to.Each != nil || f.has(field) {
		return where, nil
	}
	id, location, device, err := s.roster.Resolve(to)
	if err != nil {
		unknown, ok := errors.AsType[*area.Error](err)
		if !ok {
			return where, err
		}
		if f.err() == nil {
			out := *unknown
			out.Fields = []area.FieldError{{Field: field, Message: unknown.Detail}}
			return where, &out
		}
		f.add(field, unknown.Detail)
		return where, nil
	}
	if id == area.Unassigned || id == "" {
		f.add(field, "nothing can be announced to what has no area")
		return where, nil
	}
	where, ok := s.roster.Area(id)
	if !ok {
		return where, area.Errorf(area.CodeUnknownArea, "no area %s", id)
	}
	e.location, e.device = location, device
	if to.Area != nil {
		e.location, e.device = "", ""
	}
	if to.Device == nil {
		e.device = ""
	}
	return where, nil
}

func fieldOf(to area.To) string {
	switch {
	case to.Area != nil:
		return "to.area"
	case to.Location != nil:
		return "to.location"
	case to.Device != nil:
		return "to.device"
	}
	return "to"
}

// withDefaults gives every field that was left out its default.
func withDefaults(r area.OrderRequest, where area.Area) area.OrderRequest {
	if r.Kind == "" {
		r.Kind = KindAnnounce
	}
	if r.Chime == "" {
		r.Chime = DefaultChime
	}
	if r.Languages == nil {
		r.Languages = []string{}
	}
	if r.Priority == nil {
		r.Priority = at(area.Normal)
	}
	if r.Volume == nil {
		r.Volume = at(where.Volume)
	}
	if r.Repeat == nil {
		r.Repeat = at(1)
	}
	if r.Expires == nil {
		r.Expires = at(area.Duration(DefaultExpires))
	}
	if r.IfBusy == "" {
		r.IfBusy = area.BusyQueue
	}
	return r
}

// duration is how long the sound will last.
func (s *Service) duration(r area.OrderRequest, by By, sub *area.Submit) (time.Duration, error) {
	if sub != nil && r.Message == nil && r.Clip == nil {
		if by.Dur > 0 {
			return by.Dur, nil
		}
		return unknownLength, nil
	}
	d, err := s.rend.Duration(r) // also where the caller knows it: the renderer knows the clips
	if err != nil {
		return 0, err
	}
	if r.Kind == KindDownload { // it sounds nothing
		return 0, nil
	}
	if by.Dur > 0 {
		d = by.Dur
	}
	return d, nil
}

func (s *Service) fill(e *entry, r area.OrderRequest, by By, where area.Name, dur time.Duration, now time.Time) {
	created := area.At(now)
	e.order = area.Order{
		To: r.To, Area: where, Kind: r.Kind, Message: r.Message, Clip: r.Clip, Chime: r.Chime, Languages: r.Languages,
		Priority: *r.Priority, Volume: r.Volume, Repeat: *r.Repeat, NotBefore: r.NotBefore, Expires: *r.Expires, IfBusy: r.IfBusy,
		Redo: by.Redo, State: area.OrderAccepted, Attempt: 1, DurationMs: dur.Milliseconds(), CreatedAt: created,
		Schedule: orNil(by.Schedule), History: []area.OrderStep{{State: area.OrderAccepted, At: created}},
	}
	o := &e.order
	if o.Redo == "" {
		o.Redo = area.RedoRetry
	}
	o.ExpiresAt = area.At(e.dueAt().Add(time.Duration(o.Expires)))
	if r.ID != nil {
		o.ID = area.WorkID(*r.ID)
	} else {
		o.ID = s.ids.next(now)
	}
}

func at[T any](v T) *T { return &v }
