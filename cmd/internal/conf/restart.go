package conf

import (
	"reflect"
	"slices"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// taken are the keys that a running hub takes when the configuration is read
// again.
var taken = []string{"auth", "areas", "mappings", "schedules"}

// NeedStart lists the keys, sorted, in which next differs from c and which only
// a start of the hub takes. What flags and the environment alone say (Process)
// cannot change while it runs, and is left out. None is nil.
func (c Config) NeedStart(next Config) []string {
	keys := changed("", reflect.ValueOf(c), reflect.ValueOf(next))
	slices.Sort(keys)
	return keys
}

// changed lists the keys below key in which two structs of one type differ.
func changed(key string, was, is reflect.Value) (keys []string) {
	for name, i := range settings.Fields(was.Type()) {
		path, a, b := settings.Join(key, name), was.Field(i), is.Field(i)
		switch {
		case slices.Contains(taken, path):
		case a.Kind() == reflect.Struct:
			keys = append(keys, changed(path, a, b)...)
		case a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0: // not written, or written as []
		case !reflect.DeepEqual(a.Interface(), b.Interface()):
			keys = append(keys, path)
		}
	}
	return keys
}
