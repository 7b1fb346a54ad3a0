package cases

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// elsewhere says of each row without a case why it has none, and where it is
// shown instead: test, in a folder below the module's root; or nowhere, where
// nothing is to be done.
var elsewhere = []struct {
	row, folder, test string
	why               string
}{
	{"2.30", "broker", "TestSubscriptionsDoNotDisturbEachOther", "about subscriptions inside the process, which no client sees"},
	{"3.1", "cmd/tacet-bench/fault", "", "a full disk takes a file system of its own: tacet-bench fault full"},
	{"3.3", "cmd/tacet-bench/fault", "", "a power cut takes a file system of its own: tacet-bench fault power"},
	{"3.9", "broker/arbiter", "", "a rule for our own code: clocks are given, never asked for"},
	{"3.10", ".ci", "", "a check of the build"},
	{"CVE-2017-9868", "broker/store", "TestRecordsSurviveReopening", "the modes of the file and its directory"},
	{"CVE-2018-12546", "broker", "TestRetainedOfWhoLostTheRight", "it takes a right that is withdrawn while the broker runs"},
	{"5.memory", "cmd/tacet-bench", "", "a figure: tacet-bench broker"},
}

// additions are those of BROKER.md §5.
var additions = []string{
	"connection", "half-open", "tenants", "durable", "replay", "packet ids", "order", "dup", "takeover", "parent", "receive maximum", "memory",
}

// incidents are those of RELIABILITY.md §3 that an MQTT client can cause.
var incidents = []string{
	"CVE-2017-9868", "CVE-2018-12546", "CVE-2018-12550", "CVE-2020-13849", "CVE-2021-28166", "CVE-2021-34432", "CVE-2021-41039",
	"CVE-2022-29946", "CVE-2023-0809", "CVE-2023-28366", "CVE-2026-27571", "CVE-2026-33215", "CVE-2026-33217",
	"mochi #88", "mochi #107", "mochi #426", "mosquitto #1161",
}

// TestRows holds that every row of BROKER.md §2 and §3, every addition of its §5
// and every incident has a case, or a reason why it has none.
func TestRows(t *testing.T) {
	var rows []string
	for n := range 35 {
		rows = append(rows, fmt.Sprint("2.", n+1))
	}
	for n := range 10 {
		rows = append(rows, fmt.Sprint("3.", n+1))
	}
	for _, a := range additions {
		rows = append(rows, "5."+a)
	}
	rows = append(rows, incidents...)
	shown := map[string]bool{}
	for _, g := range groups {
		for _, c := range g.cases {
			checkCase(t, c, rows)
			for _, row := range c.rows {
				shown[row] = true
			}
		}
	}
	for _, e := range elsewhere {
		if shown[e.row] {
			t.Errorf("row %s has a case, and a reason why it has none", e.row)
		}
		shown[e.row] = true
		if e.why == "" {
			t.Errorf("row %s has no reason", e.row)
		}
		if e.test != "" && !hasTest(t, e.folder, e.test) {
			t.Errorf("row %s: there is no %s in %s", e.row, e.test, e.folder)
		}
	}
	for _, row := range rows {
		if !shown[row] {
			t.Errorf("row %s has neither a case nor a reason", row)
		}
	}
}

// checkCase holds that a case is whole: it names what it shows, and the reason
// where the bare library is not judged.
func checkCase(t *testing.T, c testCase, rows []string) {
	t.Helper()
	if len(c.rows) == 0 {
		t.Errorf("%s shows nothing", c.name)
	}
	if (c.bare == unruled) != (c.because != "") {
		t.Errorf("%s: a case that is not judged on the bare library has a reason, and no other has", c.name)
	}
	for _, row := range c.rows {
		if row[0] >= '2' && row[0] <= '5' && !slices.Contains(rows, row) {
			t.Errorf("%s: there is no row %s", c.name, row)
		}
	}
}

// hasTest tells whether a folder has a test of a name.
func hasTest(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "func "+name+"(") {
			return true
		}
	}
	return false
}
