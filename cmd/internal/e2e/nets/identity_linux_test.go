package nets

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/e2e/programs"
)

// secret is every device's password, and the key of the issuer of tokens: beyond
// loopback a hub has to know who comes.
const secret = "the one secret of this network of ours"

// hashed is the hash of the secret, as the hub's tool makes it.
var hashed = sync.OnceValues(func() (string, error) {
	dir, err := programs.Dir()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(dir, "tacet"), "user", "hash", "--stdin")
	cmd.Stdin = strings.NewReader(secret + "\n")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
})

func hash(t testing.TB) string {
	t.Helper()
	h, err := hashed()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// operator is a token of somebody who may order.
func operator(t testing.TB) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{"iss": "id", "aud": "tacet", "sub": "ann", "roles": []string{"operator"}, "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	enc := base64.RawURLEncoding
	head := enc.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(head))
	return head + "." + enc.EncodeToString(mac.Sum(nil))
}
