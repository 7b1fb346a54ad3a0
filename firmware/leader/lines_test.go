package leader

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"testing"
)

// What the libraries say is told in our words, with theirs as the error.
func TestLinesOfTheLibraries(t *testing.T) {
	var out bytes.Buffer
	to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	library := log.New(lines{to}, "", 0)
	for said, want := range map[string]string{
		"[ERR] memberlist: Failed fallback TCP ping: timeout": `level=WARN msg="the membership cannot do something" rule=memberlist err="Failed fallback TCP ping: timeout"`,
		"[WARN] memberlist: Refuting a suspect message":       `level=INFO msg="the membership is not well" rule=memberlist err="Refuting a suspect message"`,
		"[DEBUG] memberlist: Stream connection from=10.0.0.5": `level=DEBUG msg="the membership says something" rule=memberlist err="Stream connection from=10.0.0.5"`,
		"[ERR] mdns: Failed to bind":                          `level=WARN msg="the membership cannot do something" rule=mdns err="Failed to bind"`,
		"bare words":                                          `level=DEBUG msg="the membership says something" rule=membership err="bare words"`,
	} {
		out.Reset()
		library.Print(said)
		if got := strings.TrimSpace(out.String()); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", said, got, want)
		}
	}
}
