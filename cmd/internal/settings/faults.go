package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration.
type Fault struct {
	Where string // "tacet.yaml:12", "TACET_HTTP_ADDR" or "--http"; empty: a default
	Key   string // path of the key, such as areas[0].lease; empty: the file as a whole
	Text  string // what is wrong; lower case, no full stop
}

// String is "where: key: text", without the parts that are empty.
func (f Fault) String() string {
	return strings.Join(slices.DeleteFunc([]string{f.Where, f.Key, f.Text}, func(s string) bool { return s == "" }), ": ")
}

// Faults is everything that is wrong with a configuration, in the order in
// which it was found. As an error it has one line for each.
type Faults []Fault

// Error is one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil where there is no fault.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// Add appends what is wrong with err: its own faults, else one without a key.
func (fs *Faults) Add(err error) {
	if err == nil {
		return
	}
	if more, ok := errors.AsType[Faults](err); ok {
		*fs = append(*fs, more...)
		return
	}
	*fs = append(*fs, Fault{Text: err.Error()})
}

// Origins remembers where each key was written: its path to "file:line", the
// name of an environment variable or a flag. Keys that have their default are
// not in it. The zero value is ready to be asked; only [LoadYAML] makes one
// that can be written to.
type Origins map[string]string

// Of is where the key was written; where it is not known, where the nearest
// key around it was.
func (o Origins) Of(key string) string {
	for {
		if where, ok := o[key]; ok {
			return where
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return ""
		}
		key = key[:cut]
	}
}

// Faultf is a fault of the key, with where it was written.
func (o Origins) Faultf(key, format string, args ...any) Fault {
	return Fault{Where: o.Of(key), Key: key, Text: fmt.Sprintf(format, args...)}
}
