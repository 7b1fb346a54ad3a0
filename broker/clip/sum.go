package clip

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// prefix begins the long form of a name.
const prefix = "sha256:"

// Sum is the name of a clip: the SHA-256 of its bytes.
type Sum [sha256.Size]byte

// ParseSum reads 64 hexadecimal digits in lower case, with or without "sha256:"
// before them.
func ParseSum(s string) (Sum, error) {
	var sum Sum
	digits := strings.TrimPrefix(s, prefix)
	if len(digits) != hex.EncodedLen(len(sum)) || digits != strings.ToLower(digits) {
		return sum, fmt.Errorf("clip name %.80q is not sha256: and 64 hexadecimal digits in lower case", s)
	}
	if _, err := hex.Decode(sum[:], []byte(digits)); err != nil {
		return sum, fmt.Errorf("clip name %.80q is not hexadecimal", s)
	}
	return sum, nil
}

// SumOf is the name of these bytes.
func SumOf(b []byte) Sum { return sha256.Sum256(b) }

// Hex is the 64 digits alone.
func (s Sum) Hex() string { return hex.EncodeToString(s[:]) }

// String is the long form, "sha256:" and the digits, as orders name clips.
func (s Sum) String() string { return prefix + s.Hex() }
