package auth_test

import (
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// hashOf is a valid hash of a password that costs next to nothing.
func hashOf(password string) string {
	salt := []byte("saltsalt")
	key := argon2.IDKey([]byte(password), salt, 1, 8, 1, 16)
	return fmt.Sprintf("$argon2id$v=19$m=8,t=1,p=1$%s$%s", base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}
