package registry

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
)

// shelf is a table in memory.
type shelf map[string][]byte

func (s shelf) Load(each func(string, []byte) error) error {
	for _, k := range slices.Sorted(maps.Keys(s)) {
		if err := each(k, s[k]); err != nil {
			return err
		}
	}
	return nil
}
func (s shelf) Put(_ context.Context, k string, v []byte) error { s[k] = v; return nil }
func (s shelf) Delete(_ context.Context, k string) error        { delete(s, k); return nil }

func TestRulebook(t *testing.T) {
	var rules *mapping.Table
	disk := shelf{"bad": []byte("{"), "old": []byte(`{"topic":"old/{device}","format":"json"}`)}
	open := func() *Rulebook {
		b, err := NewRulebook(disk, []mapping.Rule{{Topic: "c/{device}/{metric}", Format: mapping.Raw}}, func(t *mapping.Table) { rules = t }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		rules = b.Rules()
		return b
	}
	reads := func(topic string) int {
		return len(mapping.NewReader().Read(rules, mapping.Message{Topic: topic, Payload: []byte(`21`)}).Values)
	}
	b, ctx := open(), t.Context()
	made := mapping.Entry{ID: "m1", Rule: mapping.Rule{Topic: "x/{device}", Format: mapping.Raw, Metric: "co2"}}
	if _, err := b.CreateMapping(ctx, made); err != nil || reads("x/d") != 1 {
		t.Errorf("%v, %d readings", err, reads("x/d"))
	}
	want := "[config-1/config m1/api old/api]"
	if got := idsOf(b); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b = open()
	if got := idsOf(b); got != want || reads("x/d") != 1 || reads("c/d/co2") != 1 {
		t.Errorf("after a restart: %s", got)
	}
	made.Topic = "y/{device}"
	if _, err := b.ReplaceMapping(ctx, made); err != nil || reads("x/d") != 0 || reads("y/d") != 1 {
		t.Errorf("replaced: %v", err)
	}
	for what, c := range map[string]struct {
		err  error
		code area.Code
	}{
		"twice":       {second(b.CreateMapping(ctx, made)), area.CodeExists},
		"config's id": {second(b.CreateMapping(ctx, mapping.Entry{ID: "config-9", Rule: made.Rule})), area.CodeExists},
		"no rule":     {second(b.CreateMapping(ctx, mapping.Entry{ID: "m2", Rule: mapping.Rule{Topic: "a/#/b"}})), area.CodeInvalid},
		"of ours":     {second(b.CreateMapping(ctx, mapping.Entry{ID: "m2", Rule: mapping.Rule{Topic: "tacet/#", Format: mapping.Raw, Device: "d", Metric: "m"}})), area.CodeInvalid},
		"hub's event": {second(b.CreateMapping(ctx, mapping.Entry{ID: "m2", Rule: mapping.Rule{Topic: "a", Group: "area:north", Event: "AreaChanged"}})), area.CodeInvalid},
		"configured":  {second(b.ReplaceMapping(ctx, mapping.Entry{ID: "config-1", Rule: made.Rule})), area.CodeConfigured},
		"not there":   {second(b.ReplaceMapping(ctx, mapping.Entry{ID: "m9", Rule: made.Rule})), area.CodeNotFound},
		"delete":      {b.DeleteMapping(ctx, "config-1"), area.CodeConfigured},
		"delete none": {b.DeleteMapping(ctx, "config-2"), area.CodeNotFound},
	} {
		if area.CodeOf(c.err) != c.code {
			t.Errorf("%s: %v, want %s", what, c.err, c.code)
		}
	}
	if err := b.DeleteMapping(ctx, "m1"); err != nil || reads("y/d") != 0 {
		t.Errorf("deleted: %v", err)
	}
	if err := b.Configure(nil); err != nil || reads("c/d/co2") != 0 {
		t.Errorf("configured: %v", err)
	}
	if err := b.Configure([]mapping.Rule{{Topic: "#/a"}}); err == nil {
		t.Error("a bad configuration is taken")
	}
}

func second[T any](_ T, err error) error { return err }

func idsOf(b *Rulebook) string {
	var list []string
	for _, e := range b.Mappings() {
		list = append(list, fmt.Sprintf("%s/%s", e.ID, e.Source))
	}
	return fmt.Sprint(list)
}
