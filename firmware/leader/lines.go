package leader

import (
	"log/slog"
	"strings"
)

// lines is the log of the libraries of the membership, whose texts are not ours:
// each becomes a line of ours with the library as its rule and what it said as its
// error. Theirs are a shade too loud: an error is a warning here, since the
// membership goes on and tries again, a warning is news, and the rest for debugging.
type lines struct{ log *slog.Logger }

// Write takes one line, such as "[WARN] memberlist: what it says".
func (l lines) Write(b []byte) (int, error) {
	mark, said, _ := strings.Cut(strings.TrimSpace(string(b)), "]")
	if !strings.HasPrefix(mark, "[") {
		said = string(b)
	}
	library, what, named := strings.Cut(strings.TrimSpace(said), ": ")
	if !named {
		library, what = "membership", said
	}
	at := []any{"rule", library, "err", strings.TrimSpace(what)}
	switch strings.TrimPrefix(mark, "[") {
	case "ERR", "ERROR":
		l.log.Warn("the membership cannot do something", at...)
	case "WARN":
		l.log.Info("the membership is not well", at...)
	default:
		l.log.Debug("the membership says something", at...)
	}
	return len(b), nil
}
