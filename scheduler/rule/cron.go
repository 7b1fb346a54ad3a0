package rule

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxLine is longer than every sensible cron line.
const maxLine = 256

// lines are what the words stand for.
var lines = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
	"@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

// Cron reads a cron line, which is in the given zone (nil: UTC). A line that can
// never come due is refused. The grammar is in the package's comment.
func Cron(line string, zone *time.Location) (Rule, error) {
	if len(line) > maxLine {
		return nil, fmt.Errorf("a cron line is longer than %d bytes", maxLine)
	}
	text := strings.TrimSpace(line)
	if strings.HasPrefix(text, "@") {
		known, ok := lines[strings.ToLower(text)]
		if !ok {
			return nil, fmt.Errorf("%q is none of @yearly @annually @monthly @weekly @daily @midnight @hourly", text)
		}
		text = known
	}
	parts := strings.Fields(text)
	if len(parts) != 5 {
		return nil, fmt.Errorf("a cron line has 5 fields (minute, hour, day of month, month, day of week), not %d", len(parts))
	}
	if zone == nil {
		zone = time.UTC
	}
	c := &cron{zone: zone}
	var anyMonthday, anyWeekday bool
	for i, f := range []struct {
		field
		set  *bits
		star *bool
	}{
		{minutes, &c.minutes, new(bool)}, {hours, &c.hours, new(bool)}, {monthday, &c.monthday, &anyMonthday},
		{months, &c.months, new(bool)}, {weekday, &c.weekday, &anyWeekday},
	} {
		var err error
		if *f.set, *f.star, err = f.parse(parts[i]); err != nil {
			return nil, err
		}
	}
	c.either = !anyMonthday && !anyWeekday
	c.elapsed = c.hours == hours.all()
	if !c.possible() {
		return nil, errors.New("no month of the line has such a day")
	}
	return c, nil
}

// cron is a line that was read.
type cron struct {
	minutes, hours, monthday, months, weekday bits

	either  bool // both days are restricted: one of them suffices
	elapsed bool // every hour
	zone    *time.Location
}

// possible tells whether some month of the line has one of its days.
func (c *cron) possible() bool {
	if c.either || c.weekday != weekday.all() {
		return true // every month has each day of the week
	}
	longest := [...]int{1: 31, 2: 29, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}
	for m, days := range longest {
		for d := 1; d <= days; d++ {
			if c.months.has(m) && c.monthday.has(d) {
				return true
			}
		}
	}
	return false
}

// maxDays is how far Next looks: 29 February can be 8 years away (1896 to 1904).
const maxDays = 9 * 366

// Next is the first firing after an instant.
func (c *cron) Next(after time.Time) time.Time {
	if c.elapsed {
		return c.shown(after)
	}
	year, month, day := after.In(c.zone).Date()
	for i := range maxDays {
		d := time.Date(year, month, day+i, 0, 0, 0, 0, time.UTC)
		if !c.isDay(d) {
			continue
		}
		if t := c.nextOn(d, after); !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// shown is the first minute after an instant that the clock shows and the line
// has. It goes by elapsed minutes, and over days that are not the line's.
func (c *cron) shown(after time.Time) time.Time {
	t := minuteUp(after.In(c.zone).Add(1))
	for range maxDays + 2*24*60 {
		if c.isDay(t) {
			if c.minutes.has(t.Minute()) {
				return t
			}
			t = minuteUp(t.Add(time.Minute))
			continue
		}
		next := wall(t.AddDate(0, 0, 1), 0, 0, c.zone)
		if !next.After(t) {
			next = minuteUp(t.Add(time.Minute))
		}
		t = next
	}
	return time.Time{}
}

// isDay tells whether the calendar day d is one of the line's.
func (c *cron) isDay(d time.Time) bool {
	if !c.months.has(int(d.Month())) {
		return false
	}
	m, w := c.monthday.has(d.Day()), c.weekday.has(int(d.Weekday()))
	return m && w || c.either && (m || w)
}

// nextOn is the first firing of day d after an instant; zero where there is none.
func (c *cron) nextOn(d, after time.Time) time.Time {
	if !exists(d, c.zone) {
		return time.Time{}
	}
	for h := range 24 {
		if !c.hours.has(h) || !wall(d, h, 59, c.zone).After(after) {
			continue
		}
		for m := range 60 {
			if !c.minutes.has(m) {
				continue
			}
			if t := wall(d, h, m, c.zone); t.After(after) {
				return t
			}
		}
	}
	return time.Time{}
}
