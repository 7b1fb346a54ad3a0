package protocol

import (
	"encoding/json"
	"testing"
)

// FuzzValid: the checker accepts what encoding/json accepts, down to the
// greatest depth, and no message is anything else.
func FuzzValid(f *testing.F) {
	for _, s := range []string{
		``, ` `, `null`, `nul`, `nulll`, ` true `, `-`, `-0`, `00`, `01`, `1.`, `1.5e`, `1e+9`, `.5`, `1E-0x`, `"`, `"\`, `"\u12`, `"\u12aF\/"`, "\"\x1f\"", `"\x"`,
		`[`, `[]`, `[,]`, `[1,]`, `[1 2]`, `[1,[2]]`, `{`, `{}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a" : 1 , "b":{}}`, `{a:1}`, `[}`, `{"a":1]`, "1\x00", "\x00",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := checker{b: b}
		got := c.check() == nil
		if c.deep {
			if depth(b) <= MaxDepth {
				t.Fatalf("%q is not that deep", b)
			}
			return
		}
		if want := json.Valid(b); got != want {
			t.Fatalf("%q is valid: %t, want %t", b, got, want)
		}
		if _, err := JSON.Parse(b); !got && err == nil {
			t.Fatalf("%q is a message", b)
		}
	})
}

// depth gives how deep b is nested.
func depth(b []byte) int {
	level, deepest := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i = quoted(b, i) - 1
		case '{', '[':
			level++
			deepest = max(deepest, level)
		case '}', ']':
			level--
		}
	}
	return deepest
}
