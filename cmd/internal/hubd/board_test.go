package hubd

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestBoardShowsWhatThereIs: every figure of the Grafana board is one that a
// hub has.
func TestBoardShowsWhatThereIs(t *testing.T) {
	b, err := os.ReadFile("../../../configs/grafana/tacet.json")
	if err != nil || !json.Valid(b) {
		t.Fatalf("%v; the board is JSON: %t", err, json.Valid(b))
	}
	_, r, _ := started(t, nil)
	_, figures := get(t, r.Admin+"/metrics")
	names := regexp.MustCompile(`\b(tacet|process|go)_[a-z0-9_]+\b`).FindAllString(string(b), -1)
	if len(names) < 20 {
		t.Errorf("the board names %d figures", len(names))
	}
	for _, name := range names {
		if !strings.Contains(figures, "\n"+name+" ") && !strings.Contains(figures, "\n"+name+"{") {
			t.Errorf("no figure is called %s", name)
		}
	}
}
