package fault

import (
	"fmt"
	"math"
	"slices"
)

// Figure is one number that a program prints.
type Figure struct {
	Name  string  `json:"figure"`
	Unit  string  `json:"unit,omitempty"`
	Value float64 `json:"value"`
	Most  float64 `json:"most"` // the target; negative: there is none
	Hard  bool    `json:"hard"` // a promise: more than Most is a failure
}

// none is the value of a figure that a server does not have.
const none = -1.0

// Broken tells whether a promise is not kept.
func (f Figure) Broken() bool { return f.Hard && f.Value > f.Most }

// Target is the target in words.
func (f Figure) Target() string {
	if f.Most < 0 {
		return ""
	}
	return fmt.Sprintf("<= %g", f.Most)
}

func promise(name, unit string, value, most float64) Figure {
	return Figure{name, unit, value, most, true}
}

func aim(name, unit string, value, most float64) Figure {
	return Figure{name, unit, value, most, false}
}

func plain(name, unit string, value float64) Figure { return Figure{name, unit, value, -1, false} }

// quantile gives the value below which so much of a list lies; 0 of an empty
// one.
func quantile(list []float64, q float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Sorted(slices.Values(list))
	return list[int(math.Ceil(q*float64(len(list))))-1]
}
