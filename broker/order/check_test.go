package order

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// fieldsOf are the fields that an error names, in the order of their names.
func fieldsOf(err error) string {
	e, ok := errors.AsType[*area.Error](err)
	if !ok {
		return ""
	}
	var names []string
	for _, f := range e.Fields {
		names = append(names, f.Field)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

var clip = "sha256:" + strings.Repeat("0a", 32)

var requests = []struct {
	name, body string
	code       area.Code
	fields     string
}{
	{"area", `{"to":{"area":"north"},"message":"hi"}`, "", ""},
	{"location", `{"to":{"location":"1"},"message":"hi","kind":"play"}`, "", ""},
	{"everything", `{"id":"o-9","to":{"device":"gate-1"},"kind":"announce","message":"hi","chime":"two-tone","languages":["en","pt-BR"],"priority":"high","volume":0,"repeat":10,"not_before":"2020-01-01T00:00:00Z","expires":"1h30m","if_busy":"skip"}`, "", ""},
	{"nulls are left out", `{"id":null,"to":{"area":"north","device":null},"message":"hi","clip":null,"volume":null,"languages":null,"priority":null}`, "", ""},
	{"nothing", `{}`, area.CodeInvalid, "message to"},
	{"two targets", `{"to":{"area":"north","location":"1"},"message":"hi"}`, area.CodeInvalid, "to"},
	{"each", `{"to":{"each":"locations"},"message":"hi"}`, area.CodeInvalid, "to.each"},
	{"each of what", `{"to":{"each":"devices"},"message":"hi"}`, area.CodeInvalid, "to.each"},
	{"message and clip", `{"to":{"area":"north"},"message":"hi","clip":"` + clip + `"}`, area.CodeInvalid, "message"},
	{"clip", `{"to":{"area":"north"},"clip":"` + clip + `"}`, area.CodeInvalid, "clip"},
	{"no clip", `{"to":{"area":"north"},"clip":"sha256:12"}`, area.CodeInvalid, "clip"},
	{"empty message", `{"to":{"area":"north"},"message":" \n"}`, area.CodeInvalid, "message"},
	{"control character", `{"to":{"area":"north"},"message":"a\u0000b"}`, area.CodeInvalid, "message"},
	{"long message", `{"to":{"area":"north"},"message":"` + strings.Repeat("a", MaxMessage+1) + `"}`, area.CodeInvalid, "message"},
	{"download of nothing that sounds", `{"to":{"area":"north"},"kind":"download","message":"hi","chime":"two-tone","repeat":2,"if_busy":"skip"}`, area.CodeInvalid, "chime clip if_busy message repeat"},
	{"kind without executor", `{"to":{"area":"north"},"kind":"gpio"}`, area.CodeInvalid, "kind"},
	{"no kind", `{"to":{"area":"north"},"message":"hi","kind":"sing"}`, area.CodeInvalid, "kind"},
	{"all at once", `{"id":"a b","to":{"area":"north"},"message":"hi","chime":"ding dong","languages":["x"],"priority":"low","volume":101,"repeat":0,"not_before":"soon","expires":"5","if_busy":"wait"}`,
		area.CodeInvalid, "chime expires id if_busy languages.0 not_before priority repeat volume"},
	{"far ahead", `{"to":{"area":"north"},"message":"hi","not_before":"2999-01-01T00:00:00Z"}`, area.CodeInvalid, "not_before"},
	{"negative time", `{"to":{"area":"north"},"message":"hi","expires":"-1s"}`, area.CodeInvalid, "expires"},
	{"unknown area", `{"to":{"area":"west"},"message":"hi"}`, area.CodeUnknownArea, "to.area"},
	{"unknown area and more", `{"to":{"area":"west"},"message":"hi","not_before":"2999-01-01T00:00:00Z"}`, area.CodeInvalid, "not_before to.area"},
	{"unknown location", `{"to":{"location":"9"},"message":"hi"}`, area.CodeUnknownLocation, "to.location"},
	{"unknown device", `{"to":{"device":"nobody"},"message":"hi"}`, area.CodeUnknownDevice, "to.device"},
	{"unassigned", `{"to":{"area":"unassigned"},"message":"hi"}`, area.CodeInvalid, "to.area"},
	{"device without area", `{"to":{"device":"loose"},"message":"hi"}`, area.CodeInvalid, "to.device"},
	{"no JSON", `{"to":`, area.CodeBadRequest, ""},
	{"two values", `{"to":{"area":"north"},"message":"hi"} {}`, area.CodeBadRequest, ""},
	{"null", `null`, area.CodeBadRequest, ""},
	{"array", `[]`, area.CodeBadRequest, ""},
	{"not UTF-8", "{\"to\":{\"area\":\"north\"},\"message\":\"\xff\"}", area.CodeBadRequest, ""},
	{"unknown fields", `{"to":{"area":"north","zone":"a"},"message":"hi","mesage":"ho","Message":"x"}`, area.CodeBadRequest, "Message mesage to.zone"},
	{"wrong types", `{"to":"north","message":7,"volume":"loud","repeat":1.5,"languages":"en","priority":100,"id":{}}`, area.CodeBadRequest, "id languages message priority repeat to volume"},
	{"huge number", `{"to":{"area":"north"},"message":"hi","volume":1e999,"repeat":99999999999999999999}`, area.CodeBadRequest, "repeat volume"},
	{"deep", `{"to":` + strings.Repeat(`[`, 20000) + strings.Repeat(`]`, 20000) + `}`, area.CodeBadRequest, ""},
}

func TestRequests(t *testing.T) {
	for _, c := range requests {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, Config{})
			r, err := Decode([]byte(c.body))
			if err == nil {
				_, err = b.DryRun(t.Context(), r, By{})
				_, err2 := b.Accept(t.Context(), r, By{})
				if fieldsOf(err) != fieldsOf(err2) || area.CodeOf(err) != area.CodeOf(err2) {
					t.Errorf("%s: dry run says %v, Accept %v", c.body, err, err2)
				}
			}
			if area.CodeOf(err) != c.code || c.fields != "" && fieldsOf(err) != c.fields {
				t.Errorf("%.200s: %v (%s), want %q %s", c.body, err, fieldsOf(err), c.code, c.fields)
			}
		})
	}
}

func TestExists(t *testing.T) {
	b := newBench(t, Config{})
	r := say("north", "hi")
	r.ID = at("mine")
	if o := b.accept(t, r); o.ID != "mine" {
		t.Errorf("the id is %s", o.ID)
	}
	if _, err := b.Accept(t.Context(), r, By{}); area.CodeOf(err) != area.CodeExists {
		t.Errorf("the id again: %v", err)
	}
	if _, err := b.DryRun(t.Context(), r, By{}); area.CodeOf(err) != area.CodeExists {
		t.Errorf("dry run of the id: %v", err)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	b := newBench(t, Config{})
	first := b.accept(t, say("north", "one"))
	o, err := b.DryRun(t.Context(), say("north", "two"), By{})
	if err != nil || o.ID != "" || o.After == nil || *o.After != first.ID || o.DurationMs == 0 || o.EstimatedStart == nil {
		t.Errorf("dry run: %+v, %v", o, err)
	}
	if items, _, _ := b.List(Filter{}); len(items) != 1 || len(b.desk.submitted()) != 1 {
		t.Errorf("a dry run left something: %v", items)
	}
}

// TestMayIsAskedOfTheTargetsArea: once nothing else is wrong, and before
// anything is stored.
func TestMayIsAskedOfTheTargetsArea(t *testing.T) {
	b := newBench(t, Config{})
	var asked []area.Name
	by := By{May: func(in area.Name) error {
		asked = append(asked, in)
		if in == "south" {
			return area.Errorf(area.CodeForbidden, "not there")
		}
		return nil
	}}
	wrong := say("south", "x")
	wrong.Volume = at(101)
	for _, c := range []struct {
		r    area.OrderRequest
		want area.Code
	}{{say("north", "x"), ""}, {say("south", "x"), area.CodeForbidden}, {say("nowhere", "x"), area.CodeUnknownArea}, {wrong, area.CodeInvalid}} {
		if _, err := b.Accept(t.Context(), c.r, by); area.CodeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", *c.r.To.Area, err, c.want)
		}
		if _, err := b.DryRun(t.Context(), c.r, by); area.CodeOf(err) != c.want {
			t.Errorf("%s, dry: %v, want %s", *c.r.To.Area, err, c.want)
		}
	}
	if want := []area.Name{"north", "north", "south", "south"}; !slices.Equal(asked, want) {
		t.Errorf("asked about %v, want %v", asked, want)
	}
	for _, c := range []struct {
		areas []area.Name
		want  int
	}{{nil, 1}, {[]area.Name{"north"}, 1}, {[]area.Name{"south"}, 0}, {[]area.Name{}, 0}} {
		if items, _, err := b.List(Filter{Areas: c.areas}); err != nil || len(items) != c.want {
			t.Errorf("in %v: %v, %v, want %d", c.areas, items, err, c.want)
		}
	}
	if in, err := b.Where(say("south", "x").To); in != "south" || err != nil {
		t.Errorf("south is in %s, %v", in, err)
	}
	if _, err := b.Where(area.To{Each: at("locations")}); area.CodeOf(err) != area.CodeInvalid {
		t.Errorf("each location is in one area: %v", err)
	}
}

func TestIdempotency(t *testing.T) {
	synctestBench(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		by := By{Who: "ann", IdempotencyKey: "k1"}
		first, replayed, err := b.AcceptOnce(ctx, say("north", "hi"), by)
		if err != nil || replayed {
			t.Fatalf("first: %v, replayed %v", err, replayed)
		}
		again, replayed, err := b.AcceptOnce(ctx, say("north", "hi"), by)
		if err != nil || !replayed || again.ID != first.ID {
			t.Errorf("again: %s, %v, replayed %v; want %s", again.ID, err, replayed, first.ID)
		}
		if _, err := b.Accept(ctx, say("north", "ho"), by); area.CodeOf(err) != area.CodeIdempotencyMismatch {
			t.Errorf("other body: %v", err)
		}
		other := By{Who: "bob", IdempotencyKey: "k1"}
		if o, _ := b.Accept(ctx, say("north", "ho"), other); o.ID == first.ID {
			t.Error("another principal got the first one's answer")
		}
		for _, key := range []string{strings.Repeat("k", 129), "\xff"} {
			if _, err := b.Accept(ctx, say("north", "ho"), By{IdempotencyKey: key}); area.CodeOf(err) != area.CodeInvalid {
				t.Errorf("key %.10q: %v", key, err)
			}
		}
		refused := By{Who: "ann", IdempotencyKey: "k2"}
		if _, err := b.Accept(ctx, say("west", "hi"), refused); err == nil {
			t.Error("unknown area is accepted")
		}
		if _, replayed, err := b.AcceptOnce(ctx, say("west", "hi"), refused); err == nil || replayed {
			t.Error("a refusal is replayed")
		}
		time.Sleep(24 * time.Hour)
		if o, _ := b.Accept(ctx, say("north", "hi"), by); o.ID == first.ID {
			t.Error("the key lives longer than a day")
		}
		for i := range 5 { // the bound of the bench is 3
			_, _ = b.Accept(ctx, say("north", "hi"), By{Who: "eve", IdempotencyKey: strings.Repeat("x", i+1)})
		}
		if n := len(b.keys); n > 3 || b.Stats().KeysDropped == 0 {
			t.Errorf("%d keys are kept, dropped %d", n, b.Stats().KeysDropped)
		}
	})
}

func synctestBench(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	running(t, Config{MaxKeys: 3}, f)
}

func TestEstimates(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		long := func(text string, p area.Priority) area.Order {
			r := say("north", text)
			r.Priority = &p
			o, err := b.Accept(t.Context(), r, By{Dur: 4 * time.Second})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		one, two, three := long("one", area.Normal), long("two", area.Normal), long("three", area.High)
		b.report(one.ID, area.OrderPlaying)
		time.Sleep(time.Second)
		start := func(id area.WorkID) time.Duration {
			o := b.get(t, id)
			if o.EstimatedStart == nil {
				return -1
			}
			return o.EstimatedStart.Sub(area.At(time.Now()).Time)
		}
		if got, want := start(three.ID), 3500*time.Millisecond; got != want {
			t.Errorf("high starts in %s, want %s", got, want)
		}
		if got, want := start(two.ID), 8*time.Second; got != want {
			t.Errorf("normal behind high starts in %s, want %s", got, want)
		}
		if o := b.get(t, two.ID); o.After == nil || *o.After != three.ID {
			t.Errorf("normal waits for %v, want %s", o.After, three.ID)
		}
		alarm := long("alarm", area.Emergency)
		if alarm.After != nil || start(alarm.ID) != 0 {
			t.Errorf("emergency waits: after %v, in %s", alarm.After, start(alarm.ID))
		}
		var line []area.WorkID
		for _, q := range b.Queue("north") {
			line = append(line, q.Order)
		}
		if want := []area.WorkID{alarm.ID, three.ID, two.ID}; !slices.Equal(line, want) {
			t.Errorf("queue %v, want %v", line, want)
		}
		if o, err := b.Accept(t.Context(), say("south", "x"), By{}); err != nil || o.EstimatedStart != nil {
			t.Errorf("nobody is present, yet it starts at %v, %v", o.EstimatedStart, err)
		}
		b.site.mu.Lock()
		b.site.players = nil
		b.site.mu.Unlock()
		if start(two.ID) != -1 {
			t.Error("everybody left, yet there is an estimate")
		}
	})
}

func TestListWindow(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		one := b.accept(t, say("north", "one"))
		time.Sleep(time.Minute)
		b.report(one.ID, area.OrderPlaying, area.OrderPlayed)
		b.get(t, one.ID)
		time.Sleep(time.Minute)
		mid := area.At(time.Now().Add(-30 * time.Second))
		two := b.accept(t, say("north", "two"))
		ids := func(f Filter) (out []area.WorkID) {
			items, _, err := b.List(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range items {
				out = append(out, o.ID)
			}
			return out
		}
		if got := ids(Filter{From: mid}); !slices.Equal(got, []area.WorkID{two.ID}) {
			t.Errorf("from: %v", got)
		}
		if got := ids(Filter{To: mid, Area: "north"}); !slices.Equal(got, []area.WorkID{one.ID}) {
			t.Errorf("to: %v", got)
		}
		if got := ids(Filter{State: area.OrderPlayed}); !slices.Equal(got, []area.WorkID{one.ID}) {
			t.Errorf("state: %v", got)
		}
		if _, _, err := b.List(Filter{State: "gone"}); area.CodeOf(err) != area.CodeInvalid {
			t.Errorf("unknown state: %v", err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	for _, c := range requests {
		if len(c.body) < 1000 {
			f.Add([]byte(c.body))
		}
	}
	s, err := New(Config{}, NewMemory(0), newSite(), &desk{}, Speech{}, time.Now, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b)
		if err == nil {
			if err = Check(r); err != nil {
				t.Fatalf("%q: Decode is content, Check says %v", b, err)
			}
			_, err = s.DryRun(t.Context(), r, By{})
		}
		if err == nil {
			return
		}
		if e, ok := errors.AsType[*area.Error](err); !ok || e.Code.Status() >= 500 || e.Detail == "" {
			t.Fatalf("%q: %v", b, err)
		}
	})
}

func TestEstimateIsStable(t *testing.T) {
	running(t, Config{}, func(t *testing.T, b *bench) {
		o := b.accept(t, say("north", "hi"))
		time.Sleep(1500 * time.Millisecond)
		if again := b.get(t, o.ID); !again.EstimatedStart.Equal(o.EstimatedStart.Time) {
			t.Errorf("the estimate went from %s to %s", o.EstimatedStart, again.EstimatedStart)
		}
		time.Sleep(time.Second)
		if again := b.get(t, o.ID); again.EstimatedStart.Equal(o.EstimatedStart.Time) {
			t.Errorf("the estimate stays at %s", o.EstimatedStart)
		}
	})
}

// A download needs a clip and nothing else, and how long that sounds is nothing to
// it.
func TestDownload(t *testing.T) {
	r := area.OrderRequest{To: area.To{Area: new("north")}, Kind: KindDownload, Clip: &clip}
	if err := Check(r); err != nil {
		t.Errorf("%v", err)
	}
	s := &Service{rend: known{}}
	if d, err := s.duration(r, By{Dur: time.Minute}, nil); d != 0 || err != nil {
		t.Errorf("it takes %v, %v", d, err)
	}
	r.Kind = KindPlay
	if d, err := s.duration(r, By{}, nil); d != 5*time.Second || err != nil {
		t.Errorf("played it takes %v, %v", d, err)
	}
}

// known is a renderer that knows every clip.
type known struct{}

func (known) Duration(area.OrderRequest) (time.Duration, error) { return 5 * time.Second, nil }
