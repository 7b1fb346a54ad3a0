package deviced

import (
	"errors"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// faultsOf is an error of this package as faults; those of nil are none.
func faultsOf(err error) settings.Faults {
	if faults, ok := errors.AsType[settings.Faults](err); ok || err == nil {
		return faults
	}
	return settings.Faults{{Text: err.Error()}}
}

// told adds what more tells to the faults that are told already, but for what
// follows from them: another fault of the same key, and, where a key is misspelt
// or a file could not be read, that a key is missing.
func told(faults settings.Faults, more error, o settings.Origins) settings.Faults {
	before := faults
	misread := slices.ContainsFunc(before, func(f settings.Fault) bool { return !written(f.Key, o) })
	for _, f := range faultsOf(more) {
		again := slices.ContainsFunc(before, func(g settings.Fault) bool { return within(f.Key, g.Key) || within(g.Key, f.Key) })
		if !again && (!misread || written(f.Key, o)) {
			faults = append(faults, f)
		}
	}
	return faults
}

// written tells whether a key was: a list, not each of its items, by a flag.
func written(key string, o settings.Origins) bool {
	if _, ok := o[key]; ok {
		return true
	}
	list, _, item := strings.Cut(key, "[")
	_, ok := o[list]
	return ok && item && strings.HasSuffix(key, "]")
}

// within tells whether a key is another one or stands below it.
func within(key, other string) bool {
	rest, ok := strings.CutPrefix(key, other)
	return ok && other != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
