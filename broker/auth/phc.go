package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a new hash: OWASP's second choice for argon2id (19 MiB, 2 passes,
// 1 lane), which takes a Pi 3 about 0.2 s. Hashes of other cost are verified as
// they say, within the bounds below.
const (
	hashMemory = 19 << 10 // KiB
	hashPasses = 2
	hashLanes  = 1
	saltSize   = 16
	keySize    = 32
)

// maxPassword bounds what is hashed, in bytes.
const maxPassword = 1024

// phc is a hash taken apart.
type phc struct {
	memory, passes uint32 // KiB, rounds
	lanes          uint8
	salt, key      []byte
}

// HashPassword makes the argon2id hash of a password in PHC form, for the
// configuration. It takes about 19 MiB and a fifth of a second on a Pi 3, and
// errors where the password is empty or longer than 1024 bytes.
func HashPassword(password []byte) (string, error) {
	if len(password) == 0 || len(password) > maxPassword {
		return "", fmt.Errorf("a password has 1 to %d bytes, not %d", maxPassword, len(password))
	}
	h := phc{memory: hashMemory, passes: hashPasses, lanes: hashLanes, salt: make([]byte, saltSize)}
	_, _ = rand.Read(h.salt) // never fails: package crypto/rand
	h.key = h.derive(password, keySize)
	return h.String(), nil
}

// String is the PHC form: $argon2id$v=19$m=…,t=…,p=…$salt$key.
func (h phc) String() string {
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		enc.EncodeToString(h.salt), enc.EncodeToString(h.key))
}

func (h phc) derive(password []byte, size int) []byte {
	return argon2.IDKey(password, h.salt, h.passes, h.memory, h.lanes, uint32(size))
}

// verify takes as long for a wrong password as for the right one.
func (h phc) verify(password []byte) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.key)), h.key) == 1
}

// parsePHC is the inverse of String. The bounds keep a hash from costing more
// than 256 MiB and 16 passes; what it says in errors never shows the hash.
func parsePHC(text string) (phc, error) {
	part := strings.Split(text, "$")
	if len(part) != 6 || strings.ContainsAny(text, "\r\n") || part[0] != "" || part[1] != "argon2id" {
		return phc{}, errors.New("is not an argon2id hash in PHC form ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")
	}
	if part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, fmt.Errorf("is not of argon2 version %d", argon2.Version)
	}
	var h phc
	if n, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); n != 3 || err != nil ||
		part[3] != fmt.Sprintf("m=%d,t=%d,p=%d", h.memory, h.passes, h.lanes) {
		return phc{}, errors.New("has no parameters m=…,t=…,p=…")
	}
	if h.memory < 8*uint32(h.lanes) || h.memory > 256<<10 || h.passes < 1 || h.passes > 16 || h.lanes < 1 || h.lanes > 16 {
		return phc{}, fmt.Errorf("costs m=%d,t=%d,p=%d, which is not 8*p to 262144, 1 to 16, 1 to 16", h.memory, h.passes, h.lanes)
	}
	var errSalt, errKey error
	h.salt, errSalt = base64.RawStdEncoding.Strict().DecodeString(part[4])
	h.key, errKey = base64.RawStdEncoding.Strict().DecodeString(part[5])
	if errSalt != nil || errKey != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return phc{}, errors.New("has no salt of 8 to 64 bytes and hash of 16 to 64 bytes in base64 without padding")
	}
	return h, nil
}
