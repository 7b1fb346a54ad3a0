package rule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocron "github.com/netresearch/go-cron"
)

func instants(ts []time.Time, zone *time.Location) string {
	out := make([]string, len(ts))
	for i, t := range ts {
		out[i] = t.In(zone).Format("2006-01-02 15:04:05 -0700")
	}
	return strings.Join(out, "\n")
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestClockChanges(t *testing.T) {
	cases := map[string]struct {
		zone, line, after string
		want              []string
	}{
		"gap: first minute after": {"Europe/London", "30 1 * * *", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29 02:00:00 +0100", "2026-03-30 01:30:00 +0100"}},
		"several times in a gap are one firing": {"Europe/London", "*/20 1 * * *", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29 02:00:00 +0100", "2026-03-30 01:00:00 +0100"}},
		"the minute after the gap is one firing with its own": {"Europe/London", "30 1,2 * * *", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29 02:00:00 +0100", "2026-03-29 02:30:00 +0100"}},
		"double: the first": {"Europe/London", "30 1 * * *", "2026-10-24T12:00:00Z",
			[]string{"2026-10-25 01:30:00 +0100", "2026-10-26 01:30:00 +0000"}},
		"asked between the two": {"Europe/London", "30 1 * * *", "2026-10-25T01:00:00Z",
			[]string{"2026-10-26 01:30:00 +0000"}},
		"hourly in autumn has 25": {"Europe/London", "30 * * * *", "2026-10-24T23:00:00Z",
			[]string{"2026-10-25 00:30:00 +0100", "2026-10-25 01:30:00 +0100", "2026-10-25 01:30:00 +0000", "2026-10-25 02:30:00 +0000"}},
		"hourly in spring has 23": {"Europe/London", "@hourly", "2026-03-28T23:30:00Z",
			[]string{"2026-03-29 00:00:00 +0000", "2026-03-29 02:00:00 +0100", "2026-03-29 03:00:00 +0100"}},
		"every five minutes through the double hour": {"Europe/London", "*/5 * * * *", "2026-10-25T00:50:00Z",
			[]string{"2026-10-25 01:55:00 +0100", "2026-10-25 01:00:00 +0000", "2026-10-25 01:05:00 +0000"}},
		"hours by two are times of day": {"America/New_York", "0 */2 * * *", "2026-03-08T05:30:00Z",
			[]string{"2026-03-08 03:00:00 -0400", "2026-03-08 04:00:00 -0400"}},
		"half an hour": {"Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z",
			[]string{"2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100"}},
		"gap at midnight": {"Africa/Cairo", "@daily", "2026-04-23T12:00:00Z",
			[]string{"2026-04-24 01:00:00 +0300", "2026-04-25 00:00:00 +0300"}},
		"double before midnight": {"America/St_Johns", "30 23 * * *", "2010-11-06T12:00:00Z",
			[]string{"2010-11-06 23:30:00 -0230", "2010-11-07 23:30:00 -0330"}},
		"hourly over midnight and back": {"America/St_Johns", "30 * * * *", "2010-11-07T01:30:00Z",
			[]string{"2010-11-06 23:30:00 -0230", "2010-11-06 23:30:00 -0330", "2010-11-07 00:30:00 -0330"}},
		"a day that is left out": {"Pacific/Apia", "0 12 * * *", "2011-12-29T22:30:00Z",
			[]string{"2011-12-31 12:00:00 +1400"}},
		"no change": {"UTC", "59 23 31 12 *", "2026-01-01T00:00:00Z",
			[]string{"2026-12-31 23:59:00 +0000", "2027-12-31 23:59:00 +0000"}},
		"leap day over 1900": {"UTC", "0 0 29 2 *", "1896-03-01T00:00:00Z", []string{"1904-02-29 00:00:00 +0000"}},
		"either day":         {"UTC", "0 0 13 * fri", "2026-11-01T00:00:00Z", []string{"2026-11-06 00:00:00 +0000", "2026-11-13 00:00:00 +0000", "2026-11-20 00:00:00 +0000", "2026-11-27 00:00:00 +0000", "2026-12-04 00:00:00 +0000", "2026-12-11 00:00:00 +0000", "2026-12-13 00:00:00 +0000"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			zone := mustZone(t, c.zone)
			r, err := Cron(c.line, zone)
			if err != nil {
				t.Fatal(err)
			}
			after, err := time.Parse(time.RFC3339, c.after)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := instants(NextN(r, after, len(c.want)), zone), strings.Join(c.want, "\n"); got != want {
				t.Errorf("%q in %s after %s: got\n%s\nwant\n%s", c.line, c.zone, c.after, got, want)
			}
		})
	}
}

func TestCronRefuses(t *testing.T) {
	for _, line := range []string{"", "*", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8",
		"-1 * * * *", "1- * * * *", "*/0 * * * *", "*/60 * * * *", "*/x * * * *", "1/2/3 * * * *", "a * * * *", "? * * * *", ", * * * *", "1,,2 * * * *", "1.5 * * * *",
		"+1 * * * *", "99999999999999999999 * * * *", "@every 5m", "@reboot", "TZ=UTC", "CRON_TZ=UTC 1 * * * *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", strings.Repeat("1,", 200) + "1 * * * *"} {
		if r, err := Cron(line, nil); err == nil {
			t.Errorf("%q: got %v, want an error", line, r)
		}
	}
}

// reference is the rule of the package's comment done minute by minute: slow,
// and without any of the arithmetic that cron.go uses. A day more at both ends
// makes every day between them a whole one.
func reference(c *cron, from, to time.Time) []time.Time {
	out := everyMinute(c, from.AddDate(0, 0, -1), to.AddDate(0, 0, 1))
	return slices.DeleteFunc(out, func(t time.Time) bool { return t.Before(from) || !t.Before(to) })
}

func everyMinute(c *cron, from, to time.Time) []time.Time {
	type clock struct {
		date string
		h, m int
	}
	var out []time.Time
	shownAt := map[clock]time.Time{}
	days := map[string]bool{}
	for t := from.In(c.zone); t.Before(to); t = t.Add(time.Minute) {
		k := clock{t.Format(time.DateOnly), t.Hour(), t.Minute()}
		days[k.date] = true
		if _, ok := shownAt[k]; !ok {
			shownAt[k] = t
		}
		if c.elapsed && c.isDay(t) && c.minutes.has(t.Minute()) {
			out = append(out, t)
		}
	}
	if c.elapsed {
		return out
	}
	for date := range days {
		d, _ := time.Parse(time.DateOnly, date)
		if !c.isDay(d) {
			continue
		}
		for hm := range 24 * 60 {
			if !c.hours.has(hm/60) || !c.minutes.has(hm%60) {
				continue
			}
			t, ok := shownAt[clock{date, hm / 60, hm % 60}]
			for i := hm; !ok && i < 24*60; i++ { // not shown: the next minute that is
				t, ok = shownAt[clock{date, i / 60, i % 60}]
			}
			if ok {
				out = append(out, t)
			}
		}
	}
	slices.SortFunc(out, time.Time.Compare)
	return slices.CompactFunc(out, time.Time.Equal)
}

func TestAgainstReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	changes := []struct{ zone, day string }{
		{"Europe/London", "2026-03-29"}, {"Europe/London", "2026-10-25"}, {"America/New_York", "2026-03-08"}, {"America/New_York", "2026-11-01"},
		{"Australia/Lord_Howe", "2026-04-05"}, {"Australia/Lord_Howe", "2026-10-04"}, {"Africa/Cairo", "2026-04-24"}, {"Africa/Cairo", "2026-10-30"},
		{"America/Santiago", "2026-09-06"}, {"America/Santiago", "2026-04-05"}, {"Asia/Kathmandu", "2026-01-01"}, {"UTC", "2026-02-28"},
	}
	for _, ch := range changes {
		zone := mustZone(t, ch.zone)
		day, err := time.ParseInLocation(time.DateOnly, ch.day, zone)
		if err != nil {
			t.Fatal(err)
		}
		from, to := day.AddDate(0, 0, -1), day.AddDate(0, 0, 2)
		for range 20 {
			line := randomField(rnd, 0, 59) + " " + randomField(rnd, 0, 23) + " * * " + randomField(rnd, 0, 7)
			r, err := Cron(line, zone)
			if err != nil {
				continue
			}
			want := reference(r.(*cron), from, to)
			var got []time.Time
			for at := from.Add(-1); ; {
				if at = r.Next(at); at.IsZero() || !at.Before(to) {
					break
				}
				got = append(got, at)
			}
			if g, w := instants(got, zone), instants(want, zone); g != w {
				t.Fatalf("%q in %s around %s: got\n%s\nwant\n%s", line, ch.zone, ch.day, g, w)
			}
		}
	}
}

// randomField is a field's text, of any form that the grammar has.
func randomField(r *rand.Rand, lo, hi int) string {
	n := func() int { return lo + r.IntN(hi-lo+1) }
	one := func() string {
		switch r.IntN(6) {
		case 0:
			return fmt.Sprintf("%d-%d", n(), n())
		case 1:
			return fmt.Sprintf("%d-%d/%d", n(), n(), 1+r.IntN(6))
		case 2:
			return fmt.Sprintf("*/%d", 1+r.IntN(hi-lo))
		case 3:
			return fmt.Sprintf("%d/%d", n(), 1+r.IntN(6))
		}
		return fmt.Sprint(n())
	}
	switch r.IntN(4) {
	case 0:
		return "*"
	case 1:
		return one() + "," + one()
	}
	return one()
}

// Both understand the same lines and say the same of them. go-cron is asked in
// UTC, since it is wrong at clock changes, and not of steps within the days of a
// week: there it counts Sunday twice, as 0 and as 7.
func TestAgainstGoCron(t *testing.T) {
	parser := gocron.MustNewParser(gocron.Minute | gocron.Hour | gocron.Dom | gocron.Month | gocron.Dow | gocron.DowOrDom)
	rnd := rand.New(rand.NewPCG(3, 4))
	start := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	agreed := 0
	for range 3000 {
		line := strings.Join([]string{randomField(rnd, 0, 59), randomField(rnd, 0, 23), randomField(rnd, 1, 31), randomField(rnd, 1, 12), withoutSteps(randomField(rnd, 0, 7))}, " ")
		theirs, theirErr := parser.Parse(line)
		ours, err := Cron(line, time.UTC)
		if (err != nil) != (theirErr != nil) {
			if err == nil || !strings.HasPrefix(err.Error(), "no month") {
				t.Errorf("%q: ours says %v, theirs %v", line, err, theirErr)
			}
			continue
		}
		if err != nil {
			continue
		}
		agreed++
		at := start.Add(time.Duration(rnd.Int64N(int64(1000 * 24 * time.Hour))))
		for range 5 {
			got, want := ours.Next(at), theirs.Next(at)
			if !got.Equal(want) {
				t.Errorf("%q after %s: got %s, theirs %s", line, at, got, want)
				break
			}
			at = got
		}
	}
	if agreed < 1000 {
		t.Errorf("only %d lines were compared", agreed)
	}
}

func withoutSteps(field string) string {
	if strings.Contains(field, "/") {
		return "*"
	}
	return field
}

func FuzzCron(f *testing.F) {
	for _, s := range []string{"*/5 * * * *", "30 1 * * *", "0 0 29 2 *", "@hourly", "TZ=UTC", "22-2 fri-mon ? jan 7", "5-7/2 * * * 7-2"} {
		f.Add(s, "Europe/London", int64(1795255200))
	}
	f.Add("0 0 * * *", "Pacific/Apia", int64(-62135596800))
	f.Fuzz(func(t *testing.T, line, name string, unix int64) {
		zone, err := Zone(name)
		if err != nil {
			return
		}
		r, err := Cron(line, zone)
		if err != nil {
			return
		}
		after := time.Unix(unix%(1<<37), 0)
		next := r.Next(after)
		if next.IsZero() || !next.After(after) || next.Sub(after) > maxDays*24*time.Hour {
			t.Errorf("%q in %s after %s: got %s", line, name, after, next)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for _, line := range []string{"*/5 * * * *", "30 1 * * *", "0 0 29 2 *"} {
		b.Run(strings.ReplaceAll(line, " ", "_"), func(b *testing.B) {
			r, err := Cron(line, mustZone(b, "Europe/London"))
			if err != nil {
				b.Fatal(err)
			}
			at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
			for b.Loop() {
				r.Next(at)
			}
		})
	}
}
