package scheduler

import (
	"errors"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/scheduler/rule"
)

// EachLocation is the one value of an order's to.each.
const EachLocation = "locations"

// Validate tells everything that is wrong with a schedule, as an [area.Error]
// of code invalid with its fields. What the order service has to say of the
// work is not in it.
func Validate(s area.Schedule) error {
	_, err := compile(s)
	return err
}

// compile makes the rule of a schedule and checks the rest of it.
func compile(s area.Schedule) (rule.Rule, error) {
	var fields []area.FieldError
	wrong := func(field, text string) {
		fields = append(fields, area.FieldError{Field: field, Message: text})
	}
	if !area.IsID(s.ID) {
		wrong("id", "not 1 to 64 of A-Z a-z 0-9 _ -")
	}
	zone, err := rule.Zone(s.TimeZone)
	if err != nil {
		wrong("time_zone", err.Error())
	}
	r, field, err := ruleOf(s, zone)
	if err != nil {
		wrong(field, err.Error())
	}
	if s.Work.To.Keys() != 1 {
		wrong("work.to", "exactly one of area, location, device and each is needed")
	}
	if e := s.Work.To.Each; e != nil && *e != EachLocation {
		wrong("work.to.each", "not "+EachLocation)
	}
	if s.Work.ID != nil {
		wrong("work.id", "each order of a schedule is given its own")
	}
	if len(fields) == 0 {
		return r, nil
	}
	lines := make([]string, len(fields))
	for i, f := range fields {
		lines[i] = f.Field + ": " + f.Message
	}
	return nil, &area.Error{Code: area.CodeInvalid, Detail: "schedule " + s.ID + ": " + strings.Join(lines, "; "), Fields: fields}
}

// ruleOf makes the rule; with an error it names the field that is wrong.
func ruleOf(s area.Schedule, zone *time.Location) (r rule.Rule, field string, err error) {
	n := 0
	if s.Cron != nil {
		n++
		field = "cron"
		r, err = rule.Cron(*s.Cron, zone)
	}
	if s.Every != nil {
		n++
		field = "every"
		r, err = rule.Every(time.Duration(*s.Every))
	}
	if s.Once != nil {
		n++
		field = "once"
		r = rule.Once(s.Once.Time)
	}
	if n != 1 {
		return nil, "cron", errors.New("exactly one of cron, every and once is needed")
	}
	return r, field, err
}
