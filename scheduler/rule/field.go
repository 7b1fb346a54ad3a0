package rule

import (
	"fmt"
	"strconv"
	"strings"
)

// bits is a set of the numbers 0 to 63.
type bits uint64

func (b bits) has(n int) bool { return b>>uint(n)&1 == 1 }

// field is one of the five of a line: its name, its range and its words.
type field struct {
	name     string
	min, max int
	words    []string // words[i] stands for min+i
	days     bool     // ? is allowed
}

var (
	minutes  = field{name: "minute", max: 59}
	hours    = field{name: "hour", max: 23}
	monthday = field{name: "day of month", min: 1, max: 31, days: true}
	months   = field{name: "month", min: 1, max: 12, words: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")}
	weekday  = field{name: "day of week", max: 6, words: strings.Fields("sun mon tue wed thu fri sat"), days: true}
)

// all is the set of every number of the field.
func (f field) all() bits { return bits(1)<<uint(f.max+1) - bits(1)<<uint(f.min) }

// parse reads the field's text: a list of ranges. star tells that nothing is
// restricted by *.
func (f field) parse(text string) (set bits, star bool, err error) {
	for part := range strings.SplitSeq(text, ",") {
		s, any, err := f.span(part)
		if err != nil {
			return 0, false, fmt.Errorf("%s %q: %w", f.name, part, err)
		}
		set |= s
		star = star || any
	}
	return set, star, nil
}

// span reads one range with or without a step.
func (f field) span(text string) (set bits, star bool, err error) {
	span, stepText, stepped := strings.Cut(text, "/")
	from, to, err := f.ends(span, stepped)
	if err != nil {
		return 0, false, err
	}
	size := to - from + 1
	if size <= 0 {
		size += f.max - f.min + 1
	}
	step := 1
	if stepped {
		if step, err = number(stepText); err != nil {
			return 0, false, err
		}
		if step < 1 || step > 1 && step >= size {
			return 0, false, fmt.Errorf("step %d does not fit into %d", step, size)
		}
	}
	for i := 0; i < size; i += step {
		set |= 1 << uint(f.min+(from-f.min+i)%(f.max-f.min+1))
	}
	return set, (span == "*" || span == "?") && step == 1, nil
}

// ends reads *, a or a-b. A range that goes round has its end before its start.
func (f field) ends(span string, stepped bool) (from, to int, err error) {
	if span == "*" || span == "?" && f.days {
		return f.min, f.max, nil
	}
	first, last, isRange := strings.Cut(span, "-")
	if from, err = f.value(first); err != nil {
		return 0, 0, err
	}
	switch {
	case isRange:
		to, err = f.value(last)
	case stepped:
		to = f.max
	default:
		to = from
	}
	if f.sunday(from) {
		if from = f.min; f.sunday(to) {
			to = f.min
		}
	}
	return from, to, err
}

// sunday tells whether n is the second number of Sunday.
func (f field) sunday(n int) bool { return f.max == weekday.max && n == weekday.max+1 }

// value reads a number or a word of the field.
func (f field) value(text string) (int, error) {
	for i, w := range f.words {
		if strings.EqualFold(w, text) {
			return f.min + i, nil
		}
	}
	n, err := number(text)
	if err != nil {
		return 0, err
	}
	if n < f.min || n > f.max && !f.sunday(n) {
		return 0, fmt.Errorf("%d is not %d to %d", n, f.min, f.max)
	}
	return n, nil
}

// number reads one to four digits and nothing else.
func number(text string) (int, error) {
	if len(text) == 0 || len(text) > 4 || strings.Trim(text, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return strconv.Atoi(text)
}
