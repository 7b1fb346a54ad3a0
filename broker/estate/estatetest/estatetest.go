package estatetest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/estate"
)

// Run runs the contract; each case has a common copy of its own.
func Run(t *testing.T, make func(t *testing.T) estate.Common) {
	for name, f := range map[string]func(*testing.T, estate.Common){"records": records, "claims": claims} {
		t.Run(name, func(t *testing.T) { f(t, make(t)) })
	}
}

func name(table, key string) estate.Name { return estate.Name{Table: table, Key: key} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// read is what a node has left, each as a text.
func read(t *testing.T, c estate.Common, node string) (all []string) {
	t.Helper()
	must(t, c.Read(t.Context(), node, func(r estate.Record) { all = append(all, fmt.Sprintf("%s %q=%q", r.Table, r.Key, r.Value)) }))
	slices.Sort(all)
	return slices.Compact(all)
}

// records: what is written is read, by node; the mark and the version tell what happened.
func records(t *testing.T, c estate.Common) {
	ctx := t.Context()
	write := func(mark string, list ...estate.Record) {
		t.Helper()
		if got, err := c.Write(ctx, "a", list); err != nil || got != mark {
			t.Errorf("mark %q, %v; want %q", got, err, mark)
		}
	}
	version := func() string {
		t.Helper()
		v, err := c.Version(ctx, "a")
		must(t, err)
		return v
	}
	write("", estate.Record{Name: name("s", "x\x00y\xff"), Value: []byte("1")})
	if v := version(); v != "" {
		t.Errorf("a copy that is not whole has version %q", v)
	}
	must(t, c.Begin(ctx, "a", "one"))
	first := version()
	many := []estate.Record{{Name: name("m", "x"), Value: []byte{}}, {Name: name("s", "gone")}}
	for i := range 1500 {
		many = append(many, estate.Record{Name: name("m", fmt.Sprint(i)), Value: []byte(strings.Repeat("v", 100))})
	}
	write("one", many...)
	if v := version(); v == first || v == "" {
		t.Errorf("version %q after a change of %q", v, first)
	}
	if n := len(read(t, c, "a")); n != 1502 {
		t.Errorf("%d records, want 1502", n)
	}
	for i := range many {
		many[i].Value = nil
	}
	write("one", many...)
	if got, want := read(t, c, "a"), []string{`s "x\x00y\xff"="1"`}; !slices.Equal(got, want) {
		t.Errorf("records %q, want %q", got, want)
	}
	if got, err := c.Names(ctx, "a"); err != nil || !slices.Equal(got, []estate.Name{name("s", "x\x00y\xff")}) {
		t.Errorf("names %q, %v", got, err)
	}
	must(t, c.Begin(ctx, "b", "two"))
	nodes, err := c.Nodes(ctx)
	must(t, err)
	if slices.Sort(nodes); !slices.Equal(nodes, []string{"a", "b"}) || len(read(t, c, "b")) > 0 {
		t.Errorf("nodes %q", nodes)
	}
	must(t, c.Drop(ctx, "a"))
	if nodes, err = c.Nodes(ctx); err != nil || !slices.Equal(nodes, []string{"b"}) || len(read(t, c, "a")) > 0 || version() != "" {
		t.Errorf("after it was dropped: nodes %q, %v", nodes, err)
	}
	write("", estate.Record{Name: name("s", "x"), Value: []byte("anew")})
}

// claims: of several that want a session one has it, until it is given up.
func claims(t *testing.T, c estate.Common) {
	ctx := t.Context()
	claim := func(by string, at int64, instead string, want estate.Claim) {
		t.Helper()
		if got, err := c.Claim(ctx, "a", "client x", estate.Claim{By: by, At: at}, instead); err != nil || got != want {
			t.Errorf("%s at %d instead of %q: %+v, %v; want %+v", by, at, instead, got, err, want)
		}
	}
	claim("b", 7, "", estate.Claim{By: "b", At: 7})
	claim("c", 8, "", estate.Claim{By: "b", At: 7})
	claim("c", 8, "d", estate.Claim{By: "b", At: 7})
	claim("c", 9, "b", estate.Claim{By: "c", At: 9})
	must(t, c.Settle(ctx, "a", map[string]estate.Claim{"client x": {By: "c", At: 9, Done: true}}))
	claim("b", 10, "", estate.Claim{By: "c", At: 9, Done: true})
	must(t, c.Drop(ctx, "a"))
	got, err := c.Claims(ctx, "a")
	if err != nil || !maps.Equal(got, map[string]estate.Claim{"client x": {By: "c", At: 9, Done: true}}) {
		t.Errorf("claims %+v, %v", got, err)
	}
	must(t, c.Disclaim(ctx, "a", []string{"client x", "nobody"}))
	if got, err = c.Claims(ctx, "a"); err != nil || len(got) > 0 {
		t.Errorf("claims %+v, %v", got, err)
	}
	done := map[string]estate.Claim{"client x": {By: "c", At: 9, Done: true}}
	must(t, c.Settle(ctx, "a", done)) // too late: it is given up
	if got, err = c.Claims(ctx, "a"); err != nil || len(got) > 0 {
		t.Errorf("claims %+v, %v", got, err)
	}
	claim("b", 11, "", estate.Claim{By: "b", At: 11})
	must(t, c.Settle(ctx, "a", done))
	claim("d", 12, "", estate.Claim{By: "b", At: 11})
	must(t, c.Settle(ctx, "a", nil))
	must(t, c.Disclaim(ctx, "a", nil))
}
