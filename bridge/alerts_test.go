package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := newWatcher()
		a := NewAlerts(hub, time.Now)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = a.Run(ctx) }()
		seen := 0
		expect := func(what string, want ...string) {
			t.Helper()
			synctest.Wait()
			var got []string
			all := hub.of(GroupAlerts, eventAlert)
			for _, s := range all[seen:] {
				var args []Alert
				must(t, json.Unmarshal([]byte(s.args), &args))
				got = append(got, args[0].Level+": "+args[0].Message)
			}
			if seen = len(all); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		wrong := Cause{Key: "password", Alert: Alert{AlertWarning, "wrong password"}}
		flaps := Cause{Key: "flaps", Alert: Alert{AlertWarning, "two share an id"}, Least: 5}

		a.Raise(wrong, 1)
		expect("the first at once", "warning: wrong password")
		for range 36 {
			a.Raise(wrong, 1)
		}
		a.Raise(flaps, 4)
		time.Sleep(59 * time.Second)
		expect("nothing more in its minute")
		time.Sleep(time.Second)
		expect("then as one", "warning: wrong password (36 times)")
		a.Raise(flaps, 4)
		expect("too rare to tell: the span before is over")
		a.Raise(flaps, 1)
		expect("often enough", "warning: two share an id (5 times)")
		time.Sleep(5 * time.Minute)
		expect("quiet")
		a.Raise(wrong, 1)
		expect("news again", "warning: wrong password")

		time.Sleep(5 * time.Minute)
		for i := range 300 {
			a.Raise(Cause{Key: fmt.Sprint(i), Alert: Alert{AlertInfo, fmt.Sprint(i)}}, 1)
		}
		expect("no more than ten a minute", "info: 0", "info: 1", "info: 2", "info: 3", "info: 4", "info: 5", "info: 6", "info: 7", "info: 8", "info: 9")
		time.Sleep(time.Minute)
		expect("and ten in the next", "info: 10", "info: 11", "info: 12", "info: 13", "info: 14", "info: 15", "info: 16", "info: 17", "info: 18", "info: 19")
		if s := a.Stats(); s.Dropped != 300-256 || s.Sent != 24 {
			t.Errorf("stats %+v; want %d dropped, 24 sent", s, 300-256)
		}
		cancel()
		synctest.Wait()
	})
}
