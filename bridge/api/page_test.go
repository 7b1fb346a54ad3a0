package api

import (
	"strings"
	"testing"
)

// TestNodesWhosePartIsMissing: a page of what each node has a part of names those that
// did not answer.
func TestNodesWhosePartIsMissing(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/topics?limit=1", "/readings?from=2026-07-03T12:00:00Z&to=2026-07-03T13:00:00Z&step=1m"} {
		w.site.missing = nil
		if _, out := w.want(200, "GET", path, ""); strings.Contains(out, "missing") {
			t.Errorf("all nodes have answered, and %s says %s", path, out)
		}
		w.site.missing = []string{"hub-2", "hub-3"}
		if _, out := w.want(200, "GET", path, ""); !strings.HasSuffix(out, `"missing":["hub-2","hub-3"]}`) {
			t.Errorf("two nodes have not answered, and %s says %s", path, out)
		}
	}
}
