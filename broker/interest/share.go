package interest

import "strings"

// CutShare takes the prefix of a shared subscription off, in any case, as the broker's
// library knows it; rest is the group, a slash and the filter.
func CutShare(filter string) (rest string, shared bool) {
	const prefix = "$share/"
	if len(filter) < len(prefix) || !strings.EqualFold(filter[:len(prefix)], prefix) {
		return filter, false
	}
	return filter[len(prefix):], true
}

// Unshared is the filter inside a shared subscription, or the filter.
func Unshared(filter string) string {
	if rest, shared := CutShare(filter); shared {
		_, filter, _ = strings.Cut(rest, "/")
	}
	return filter
}
