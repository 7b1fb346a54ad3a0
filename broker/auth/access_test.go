package auth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// universe is every topic of up to four levels out of a few words: enough to
// tell any two filters of up to four levels out of the same words apart, since
// "z" stands for what no filter names.
var universe = func() []string {
	words := []string{"a", "b", "", "$s", "z"}
	level, all := words, []string{}
	for range 5 {
		var next []string
		for _, t := range level {
			if t != "" {
				all = append(all, t)
			}
			for _, w := range words {
				next = append(next, t+"/"+w)
			}
		}
		level = next
	}
	return all
}()

// coversByForce and overlapsByForce try every topic.
func coversByForce(rule, filter string) bool {
	return !slices.ContainsFunc(universe, func(t string) bool { return area.MatchFilter(filter, t) && !area.MatchFilter(rule, t) })
}

// The empty topic, which nobody can publish on, counts: that is on the safe side.
func overlapsByForce(x, y string) bool {
	return area.MatchFilter(x, "") && area.MatchFilter(y, "") || slices.ContainsFunc(universe, func(t string) bool { return area.MatchFilter(x, t) && area.MatchFilter(y, t) })
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		rule, filter string
		want         bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/b/a", false}, {"a/b", "a", false}, {"a/b", "a/+", false}, {"a/b", "a/#", false},
		{"a/+", "a/b", true}, {"a/+", "a/+", true}, {"a/+", "a/#", false}, {"a/+", "a/b/a", false}, {"a/+", "a", false},
		{"a/#", "a", true}, {"a/#", "a/b/a", true}, {"a/#", "a/#", true}, {"a/#", "a/+/#", true}, {"a/#", "a/+", true}, {"a/#", "b", false}, {"a/#", "#", false}, {"a/#", "+/b", false},
		{"#", "#", true}, {"#", "a/#", true}, {"#", "+/b", true}, {"#", "$s/a", false}, {"#", "$s/#", false}, {"$s/#", "#", false}, {"$s/#", "$s/a", true},
		{"+/#", "#", true}, {"+/#", "a", true}, {"+/+/#", "#", false}, {"+/+", "#", false}, {"+", "a", true}, {"+", "#", false}, {"+", "$s", false},
		{"a/+/a", "a/b/a", true}, {"a/+/a", "a/+/+", false}, {"a/+/#", "a/#", false}, {"a/+/#", "a/b", true}, {"/a", "/a", true}, {"+/a", "/a", true}, {"#", "/", true},
	} {
		if got := auth.Covers(c.rule, c.filter); got != c.want {
			t.Errorf("Covers(%q, %q) = %t", c.rule, c.filter, got)
		}
		if force := coversByForce(c.rule, c.filter); force != c.want {
			t.Errorf("by force: %q covers %q: %t", c.rule, c.filter, force)
		}
	}
}

// TestCoversAndOverlapsByForce tries all pairs of short filters.
func TestCoversAndOverlapsByForce(t *testing.T) {
	var filters []string
	level := []string{"a", "", "+", "#", "$s"}
	for range 2 {
		filters = append(filters, level...)
		var next []string
		for _, f := range level {
			if !strings.HasSuffix(f, "#") {
				for _, w := range []string{"a", "", "+", "#"} {
					next = append(next, f+"/"+w)
				}
			}
		}
		level = next
	}
	filters = slices.DeleteFunc(filters, func(f string) bool { return f == "" })
	for _, x := range filters {
		for _, y := range filters {
			if got, want := auth.Covers(x, y), coversByForce(x, y); got != want {
				t.Errorf("Covers(%q, %q) = %t", x, y, got)
			}
			if got, want := auth.Overlaps(x, y), overlapsByForce(x, y); got != want {
				t.Errorf("Overlaps(%q, %q) = %t", x, y, got)
			}
		}
	}
}

// word makes a filter out of the words of the universe from anything.
func word(s string) string {
	var level []string
	for _, l := range strings.Split(s, "/") {
		switch {
		case strings.HasPrefix(l, "$") && len(level) == 0:
			level = append(level, "$s")
		case strings.HasPrefix(l, "+"), strings.HasPrefix(l, "#"):
			level = append(level, l[:1])
		case strings.HasPrefix(l, "b"), l == "":
			level = append(level, l[:min(len(l), 1)])
		default:
			level = append(level, "a")
		}
	}
	return strings.Join(level[:min(len(level), 4)], "/")
}

// FuzzCovers checks the containment of filters against all topics.
func FuzzCovers(f *testing.F) {
	for _, s := range []string{"a/+/#", "#", "+/#", "a//b", "$s/#", "+", "a/b/a/b", "/", "//#"} {
		f.Add(s, "a/#")
		f.Add("a/#", s)
	}
	f.Fuzz(func(t *testing.T, x, y string) {
		x, y = word(x), word(y)
		if !area.ValidFilter(x) || !area.ValidFilter(y) {
			return
		}
		if got, want := auth.Covers(x, y), coversByForce(x, y); got != want {
			t.Errorf("Covers(%q, %q) = %t", x, y, got)
		}
		if got, want := auth.Overlaps(x, y), overlapsByForce(x, y); got != want || got != auth.Overlaps(y, x) {
			t.Errorf("Overlaps(%q, %q) = %t", x, y, got)
		}
	})
}

// FuzzAccess: whatever the rules are, what may be subscribed to is what may be
// read, and nobody reaches $, @ or what is the hub's.
func FuzzAccess(f *testing.F) {
	f.Add("a/#", "!a/b", "a/+", "a/b")
	f.Add("!a/b", "a/#", "#", "$s/a")
	f.Add("#", "#", "#", "tacet/area/north/busy")
	f.Add("", "!", "@t/#", "@t/a")
	f.Fuzz(func(t *testing.T, one, two, filter, topic string) {
		a := auth.Principal{Name: "d", Kind: auth.KindDevice, Publish: []string{one, two}, Subscribe: []string{one, two}}.Access()
		_, errOne := auth.ParseRule(one)
		_, errTwo := auth.ParseRule(two)
		own := strings.HasPrefix(topic, "tacet/device/d")
		if (errOne != nil || errTwo != nil) && (a.MayRead(topic) || a.MayPublish(topic) || area.ValidFilter(filter) && a.MaySubscribe(filter)) {
			t.Errorf("a rule that cannot be read, %q or %q, allows %q", one, two, topic)
		}
		if topic != "" && (topic[0] == '$' || topic[0] == '@') && (a.MayRead(topic) || a.MayPublish(topic)) || area.HubOnly(topic) && a.MayPublish(topic) {
			t.Errorf("%q, %q allow %q", one, two, topic)
		}
		if !area.ValidFilter(filter) || topic == "" || topic[0] == '$' || topic[0] == '@' || strings.ContainsAny(topic, "+#\x00") {
			return
		}
		if a.MaySubscribe(filter) && area.MatchFilter(filter, topic) && !a.MayRead(topic) {
			t.Errorf("%q, %q allow %q, but not %q in it", one, two, filter, topic)
		}
		if !own && a.MaySubscribe(topic) != a.MayRead(topic) {
			t.Errorf("%q, %q: subscribe to %q %t, read it %t", one, two, topic, a.MaySubscribe(topic), a.MayRead(topic))
		}
		read, publish := a.MayRead(topic), a.MayPublish(topic)
		if a.MayRead(topic) != read || a.MayPublish(topic) != publish {
			t.Errorf("%q is remembered wrongly", topic)
		}
	})
}

func TestParseRule(t *testing.T) {
	for _, good := range []string{"a", "a/#", "!a/+/b", "#", "+"} {
		if r, err := auth.ParseRule(good); err != nil || r.String() != good || r.Deny != strings.HasPrefix(good, "!") {
			t.Errorf("%q: %+v, %v", good, r, err)
		}
	}
	for _, bad := range []string{"", "!", "a#", "a/#/b", "a+", "$SYS/#", "!$x", "@t/a", "!@t", "a\x00b", strings.Repeat("x", 513), "$share/g/a"} {
		if r, err := auth.ParseRule(bad); err == nil {
			t.Errorf("%q: %+v", bad, r)
		}
	}
}

// TestFirstRuleDecides: rules are ordered, deny is an answer, and a device
// loses its own branch where a rule says so.
func TestFirstRuleDecides(t *testing.T) {
	a := auth.Principal{Name: "d", Kind: auth.KindDevice, Area: "north",
		Publish:   []string{"x/ok", "!x/#", "x/#", "!tacet/device/d/log"},
		Subscribe: []string{"!tacet/area/north/claim/#"}}.Access()
	for topic, want := range map[string]bool{"x/ok": true, "x/no": false, "x": false, "tacet/device/d/log": false, "tacet/device/d/status": true} {
		if got := a.MayPublish(topic); got != want {
			t.Errorf("publish %s: %t", topic, got)
		}
	}
	for filter, want := range map[string]bool{"tacet/area/north/busy": true, "tacet/area/north/#": false, "tacet/area/north/claim/d": false, "tacet/area/north/+": false, "tacet/area/north/busy/#": true} {
		if got := a.MaySubscribe(filter); got != want {
			t.Errorf("subscribe %s: %t", filter, got)
		}
	}
	if a.MayRead("tacet/area/north/claim/d") || !a.MayRead("tacet/area/north/busy") {
		t.Error("what is read does not follow what is subscribed to")
	}
}

// TestUnreadableRulesDenyAll is the lesson of Mosquitto's empty file of rules
// (CVE-2018-12550).
func TestUnreadableRulesDenyAll(t *testing.T) {
	a := auth.Principal{Name: "d", Kind: auth.KindDevice, Publish: []string{"a/#/b"}}.Access()
	if a.MayPublish("tacet/device/d/status") || a.MayRead("tacet/device/d/grant") || a.MaySubscribe("tacet/device/d/#") {
		t.Error("something is allowed")
	}
	var nobody auth.Principal
	if b := nobody.Access(); b.MayPublish("a") || b.MayRead("a") || b.MaySubscribe("#") {
		t.Error("nobody may do something")
	}
}

// TestAccessAllocatesNothing: it is asked per message and subscriber.
func TestAccessAllocatesNothing(t *testing.T) {
	a := auth.Principal{Name: "gate-1", Kind: auth.KindDevice, Area: "north", Subscribe: []string{"hall/+/temperature", "!hall/secret/#"}}.Access()
	topic := "tacet/area/north/busy"
	if n := testing.AllocsPerRun(100, func() { a.MayRead(topic); a.MayPublish(topic) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAccess is one decision about a delivery, of late and for the first
// time.
func BenchmarkAccess(b *testing.B) {
	a := auth.Principal{Name: "gate-1", Kind: auth.KindDevice, Area: "north", Subscribe: []string{"hall/+/temperature"}}.Access()
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.MayRead("tacet/area/north/busy")
		}
	})
	b.Run("new topics", func(b *testing.B) {
		topics := make([]string, 64)
		for i := range topics {
			topics[i] = "tacet/area/north/claim/gate-" + string(rune('A'+i))
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			a.MayRead(topics[i%len(topics)])
		}
	})
	b.Run("operator", func(b *testing.B) {
		all := auth.Principal{Roles: []string{"operator"}, Areas: []string{"*"}}.Access()
		for b.Loop() {
			all.MayRead("tacet/area/north/busy")
		}
	})
}
