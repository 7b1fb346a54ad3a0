package order

import (
	"context"
	"errors"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// byMQTT is the principal of works that were submitted over MQTT.
const byMQTT = "mqtt"

// Submit makes an order of a work that was handed in over MQTT on the submit
// topic of an area, and returns when it is durable. A work whose id is known is
// ignored, so that submitting again is safe. The keys of the body are an
// order's other keys, unknown ones and id and to are ignored; prio and ttl_ms
// win over the body's priority and expires. Without message and clip the device
// gets a work without content, of dur_ms or 5 s. Errors as of
// [Service.Accept], their fields named as they stand in the submit.
func (s *Service) Submit(ctx context.Context, a area.Name, sub area.Submit) error {
	if s.known(sub.Work) {
		s.count.known.Add(1)
		return nil
	}
	r, err := requestOf(a, sub)
	if err == nil {
		err = s.inArea(a, r.To)
	}
	if err != nil {
		s.count.refused.Add(1)
		return renamed(err)
	}
	by := By{Who: byMQTT, Redo: sub.Redo}
	if sub.DurMs != nil {
		by.Dur = time.Duration(*sub.DurMs) * time.Millisecond
	}
	_, err = s.accept(ctx, r, by, &sub)
	if area.CodeOf(err) == area.CodeExists { // it came twice at once
		s.count.known.Add(1)
		return nil
	}
	return renamed(err)
}

// requestOf is the request that a submit stands for.
func requestOf(a area.Name, sub area.Submit) (area.OrderRequest, error) {
	var r area.OrderRequest
	var f faults
	if len(sub.Body) > 0 && string(sub.Body) != "null" {
		keys, err := object(sub.Body)
		if err != nil {
			return r, err
		}
		delete(keys, "id")
		delete(keys, "to")
		readKeys(keys, &r, &f, false)
	}
	r.ID = at(string(sub.Work))
	switch {
	case sub.Location != nil:
		r.To = area.To{Location: at(string(*sub.Location))}
	case sub.Device != nil:
		r.To = area.To{Device: at(string(*sub.Device))}
	default:
		r.To = area.To{Area: at(string(a))}
	}
	if sub.Prio != nil {
		r.Priority = at(area.Priority(*sub.Prio))
	}
	if sub.TTLMs != nil {
		r.Expires = at(area.Duration(time.Duration(*sub.TTLMs) * time.Millisecond))
	}
	check(r, &f, true)
	return r, f.err()
}

// inArea refuses a location or a device of another area than the topic names.
func (s *Service) inArea(a area.Name, to area.To) error {
	if to.Area != nil {
		return nil
	}
	where, _, _, err := s.roster.Resolve(to)
	switch {
	case err != nil || where == a:
		return err
	case to.Location != nil:
		return area.Errorf(area.CodeUnknownLocation, "location %s is not in area %s", *to.Location, a)
	}
	return area.Errorf(area.CodeUnknownDevice, "device %s is not in area %s", *to.Device, a)
}

// renamed names the fields of an error as they stand in a submit.
func renamed(err error) error {
	e, ok := errors.AsType[*area.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	names := map[string]string{"id": "work", "to": "work", "to.area": "area", "to.location": "location", "to.device": "device", "expires": "ttl_ms", "priority": "prio", "redo": "redo"}
	out := *e
	out.Fields = make([]area.FieldError, len(e.Fields))
	for i, f := range e.Fields {
		name, ok := names[f.Field]
		if !ok {
			name = "body." + f.Field
		}
		out.Fields[i] = area.FieldError{Field: name, Message: f.Message}
	}
	return &out
}
