package player

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// Figure is one number that was measured.
type Figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Most   float64 `json:"most,omitempty"`   // target; 0 with Exact: 0, else none
	Exact  bool    `json:"exact,omitempty"`  // the target is none at all
	Beside string  `json:"beside,omitempty"` // what did the same in this run, in words
}

// Meets tells whether the figure is what it should be.
func (f Figure) Meets() bool { return f.Most == 0 && !f.Exact || f.Value <= f.Most }

// Print writes figures as a table, or as JSON, one a line.
func Print(w io.Writer, figures []Figure, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		for _, f := range figures {
			if err := e.Encode(f); err != nil {
				return err
			}
		}
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tVALUE\tTARGET\t\tBESIDE")
	for _, f := range figures {
		target, word := "", ""
		if f.Most != 0 || f.Exact {
			target = "<= " + number(f.Most) + " " + f.Unit
			if word = "ok"; !f.Meets() {
				word = "MISSED"
			}
		}
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s\t%s\n", f.Name, number(f.Value), f.Unit, target, word, f.Beside)
	}
	return t.Flush()
}

func number(v float64) string {
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// spread is durations, and figures of them.
type spread []time.Duration

// of is the value below which a part of them is.
func (s spread) of(part float64) float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	i := min(len(sorted)-1, int(part*float64(len(sorted))))
	return float64(sorted[i]) / float64(time.Millisecond)
}

// figures are the median, and the 95th of a hundred, which has a target.
func (s spread) figures(name string, most float64, beside string) []Figure {
	return []Figure{
		{Name: name + ", median", Value: s.of(0.5), Unit: "ms", Beside: beside},
		{Name: name + ", p95", Value: s.of(0.95), Unit: "ms", Most: most},
		{Name: name + ", longest of " + strconv.Itoa(len(s)), Value: s.of(1), Unit: "ms"},
	}
}
