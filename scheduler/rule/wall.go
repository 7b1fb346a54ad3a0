package rule

import "time"

// wall is the instant at which a clock in the zone shows hour and minute on day
// d: the first of two, and where there is none the first minute after the gap.
// time.Date promises only one of the two zones of a change, not which.
func wall(d time.Time, hour, minute int, zone *time.Location) time.Time {
	want := time.Date(d.Year(), d.Month(), d.Day(), hour, minute, 0, 0, time.UTC)
	t := time.Date(d.Year(), d.Month(), d.Day(), hour, minute, 0, 0, zone)
	from, to := t.ZoneBounds()
	switch is := reading(t); {
	case is.Equal(want):
		return first(t, from)
	case is.After(want):
		return minuteUp(from)
	}
	return minuteUp(to)
}

// first is the earlier of two instants at which the clock shows the same as at
// t, whose zone began at from; t where there is one alone.
func first(t, from time.Time) time.Time {
	if from.IsZero() {
		return t
	}
	_, now := t.Zone()
	_, before := from.Add(-1).Zone()
	if e := t.Add(time.Duration(now-before) * time.Second); before > now && e.Before(from) {
		return e
	}
	return t
}

// exists tells whether the zone has day d; some have left one out.
func exists(d time.Time, zone *time.Location) bool {
	t := wall(d, 0, 0, zone)
	return t.Day() == d.Day() && t.Month() == d.Month()
}

// minuteUp is t where the clock shows a whole minute, else the next one.
func minuteUp(t time.Time) time.Time {
	past := time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	if past == 0 {
		return t
	}
	return t.Add(time.Minute - past)
}

// reading is what the clock shows at t, as if it were UTC.
func reading(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}
