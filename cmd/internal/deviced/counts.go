package deviced

import (
	"reflect"

	"github.com/tacet-hub/tacet/cmd/internal/counted"
)

// count adds the counters of a part that are not zero, by the part's name and their
// own, such as leader_owed.
func count(to map[string]uint64, part string, stats any) {
	for f, field := range reflect.ValueOf(stats).Fields() {
		var n uint64
		switch {
		case field.CanUint():
			n = field.Uint()
		case field.CanInt():
			n = uint64(max(0, field.Int()))
		}
		if n > 0 {
			to[part+"_"+counted.Name(f.Name)] = n
		}
	}
}
