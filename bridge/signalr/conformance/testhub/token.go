package testhub

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// tokenLife is how long a token is good: the vendor's are as short.
const tokenLife = 5 * time.Second

// tokens makes and reads the JSON Web Tokens of the site.
type tokens struct{ key []byte }

func newTokens() tokens {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return tokens{key}
}

type claims struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss"`
	Expires int64  `json:"exp"`
}

var header = segment([]byte(`{"alg":"HS256","typ":"JWT"}`))

func segment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// issue makes a token for the test user.
func (t tokens) issue() string {
	body, _ := json.Marshal(claims{"testuser", "SignalRTestServer", time.Now().Add(tokenLife).Unix()}) // has JSON
	signed := header + "." + segment(body)
	return signed + "." + segment(t.sign(signed))
}

func (t tokens) sign(text string) []byte {
	mac := hmac.New(sha256.New, t.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

var errToken = errors.New("no good token")

// authenticate wants a token of the site's own, in the header or, as browsers
// send it, in the query. It is good for the whole connection once it was good.
func (t tokens) authenticate(r *http.Request) (signalr.Principal, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.URL.Query().Get("access_token")
	}
	at := strings.LastIndexByte(token, '.')
	if at < 0 {
		return signalr.Principal{}, errToken
	}
	mac, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	if err != nil || !hmac.Equal(mac, t.sign(token[:at])) {
		return signalr.Principal{}, errToken
	}
	_, payload, _ := strings.Cut(token[:at], ".")
	body, err := base64.RawURLEncoding.DecodeString(payload)
	var c claims
	if err != nil || json.Unmarshal(body, &c) != nil || time.Now().Unix() > c.Expires {
		return signalr.Principal{}, errToken
	}
	return signalr.Principal{Name: c.Subject}, nil
}
