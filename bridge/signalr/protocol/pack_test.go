package protocol_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/protocol"
)

// TestParseMessagePack: every width is read, elements that are not known are
// ignored, and what is nested too deeply or counts more than there is, is
// refused before anything is made of it.
func TestParseMessagePack(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"five elements", "95 01 80 a131 a161 91c3", `# 1 a true`},
		{"six elements", "96 01 80 a131 a161 91c3 91a132", `# 1 a 2 true`},
		{"streams nil", "96 01 80 a131 a161 90 c0", `# 1 a`},
		{"more elements", "98 01 80 a131 a161 90 90 c3 81a161c0", `# 1 a`},
		{"array16", "dc0005 01 80 a131 a161 90", `# 1 a`},
		{"array32", "dd00000005 01 80 a131 a161 90", `# 1 a`},
		{"map16 of headers", "95 01 de0001a161a162 a131 a161 90", `# 1 a`},
		{"headers nil", "95 01 c0 a131 a161 90", `# 1 a`},
		{"str8", "95 01 80 d90131 d90161 90", `# 1 a`},
		{"str16", "95 01 80 da000131 da000161 90", `# 1 a`},
		{"str32", "95 01 80 db0000000131 db0000000161 90", `# 1 a`},
		{"uint8 type", "95 cc01 80 a131 a161 90", `# 1 a`},
		{"uint64 type", "95 cf0000000000000001 80 a131 a161 90", `# 1 a`},
		{"int8 type", "95 d001 80 a131 a161 90", `# 1 a`},
		{"id nil", "95 01 80 c0 a161 90", `# a`},
		{"numbers of every width", "95 01 80 c0 a161 99 ccff cdffff ceffffffff cf8000000000000000 d0ff d1ffff d2ffffffff d3ffffffffffffffff ca3fc00000",
			`# a 255 65535 4294967295 9223372036854775808 -1 -1 -1 -1 1.5`},
		{"ping", "9106", `######`},
		{"close of two", "9207c0", `#######`},
		{"close of three", "9307a178c3", `####### x again`},
		{"ack of uint64", "9208cf0000000000000007", `########`},
		{"unknown type", "920ac0", `##########`},
		{"as deep as allowed", "95 01 80 c0 a161 91" + strings.Repeat("91", 62) + "c0", `# a ` + strings.Repeat("[", 62) + "null" + strings.Repeat("]", 62)},
		{"too deep", "95 01 80 c0 a161 91" + strings.Repeat("91", 70) + "c0", "!"},
		{"more than there is", "95 01 80 c0 a161 dd7fffffff", "!"},
		{"a map of more than there is", "95 01 df7fffffff", "!"},
		{"text of more than there is", "95 01 80 c0 dbffffffff61", "!"},
		{"stream without id", "96 04 80 c0 a161 90 90", "!"},
		{"target nil", "95 01 80 a131 c0 90", "!"},
		{"arguments nil", "95 01 80 a131 a161 c0", "!"},
		{"type as text", "91a131", "!"},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(tc.in, " ", ""))
		if err != nil {
			t.Fatal(tc.name, err)
		}
		m, err := protocol.MessagePack.Parse(b)
		if got := brief(m); (err != nil) != (tc.want == "!") || err == nil && got != tc.want {
			t.Errorf("%s: %s, %v; want %s", tc.name, got, err, tc.want)
		}
	}
}
