package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"sync"
	"time"
)

const (
	keysFresh    = 10 * time.Minute // then they are fetched again by whoever needs one
	keysUnknown  = 10 * time.Second // between fetches for an unknown kid
	keysBackOff  = time.Second      // after a failed fetch; doubled by each further one
	keysLongest  = 5 * time.Minute
	fetchTimeout = 5 * time.Second
	maxJWKS      = 256 << 10
	maxKeys      = 64
)

// jwks are the keys of one issuer, fetched from the one configured address.
// While that cannot be reached the keys of the last time are used.
type jwks struct {
	url    string
	client *http.Client
	now    func() time.Time
	count  *counters

	fetching chan struct{} // holds a token while one caller fetches

	mu      sync.Mutex
	keys    []webKey
	fetched time.Time // of the last success
	next    time.Time // no fetch before
	failed  int       // in a row
}

// webKey is a public key with its id and, where it names one, its algorithm.
type webKey struct {
	id, alg string
	key     crypto.PublicKey
}

func newJWKS(url string, now func() time.Time, count *counters) *jwks {
	return &jwks{
		url: url, now: now, count: count, fetching: make(chan struct{}, 1),
		client: &http.Client{Timeout: fetchTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

func (j *jwks) find(ctx context.Context, alg, kid string) (any, error) {
	key, due := j.held(alg, kid)
	if due {
		if err := j.refresh(ctx, key == nil); err != nil {
			return nil, err
		}
		key, _ = j.held(alg, kid)
	}
	if key != nil {
		return key, nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fetched.IsZero() {
		return nil, errNoKey
	}
	return nil, errToken
}

// held answers a key that is there, nil if there is none, and whether to fetch.
func (j *jwks) held(alg, kid string) (key crypto.PublicKey, due bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fits := 0
	for _, k := range j.keys {
		if familyOf(k.key) != families[alg] || k.alg != "" && k.alg != alg {
			continue
		}
		if kid == "" || k.id == kid {
			fits++
			key = k.key
		}
	}
	if fits != 1 { // two of one id, or none is named and there is a choice
		key = nil
	}
	now := j.now()
	stale := key == nil || now.Sub(j.fetched) >= keysFresh
	return key, stale && !now.Before(j.next)
}

// refresh fetches the keys, unless somebody else just does: then it waits for
// him where it must.
func (j *jwks) refresh(ctx context.Context, must bool) error {
	select {
	case j.fetching <- struct{}{}:
	default:
		if !must {
			return nil
		}
		select {
		case j.fetching <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-j.fetching }()
	if j.waits() {
		return nil
	}
	j.count.keyFetches.Add(1)
	keys, err := j.fetch(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err != nil {
		j.count.keyFetchErrors.Add(1)
		j.next = j.now().Add(min(keysBackOff<<min(j.failed, 16), keysLongest))
		j.failed++
		return nil
	}
	j.keys, j.failed, j.fetched = keys, 0, j.now()
	j.next = j.fetched.Add(keysUnknown)
	return nil
}

// waits tells whether somebody has fetched meanwhile.
func (j *jwks) waits() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.now().Before(j.next)
}

func (j *jwks) fetch(ctx context.Context) ([]webKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, j.url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := j.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	if err != nil {
		return nil, err
	}
	return parseJWKS(body)
}

// parseJWKS reads a key set (RFC 7517). Keys that are not for signatures, or of
// a kind that is not taken, are left out.
func parseJWKS(body []byte) ([]webKey, error) {
	if len(body) > maxJWKS {
		return nil, fmt.Errorf("more than %d bytes", maxJWKS)
	}
	var set struct {
		Keys []jwk `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys are more than %d", len(set.Keys), maxKeys)
	}
	var keys []webKey
	for _, k := range set.Keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		if key, err := k.public(); err == nil && familyOf(key) != 0 {
			keys = append(keys, webKey{id: k.ID, alg: k.Alg, key: key})
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("no key that is taken")
	}
	return keys, nil
}

// jwk is a public key as RFC 7517 and 7518 write it.
type jwk struct {
	Type  string `json:"kty"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Alg   string `json:"alg"`
	N     string `json:"n"`
	E     string `json:"e"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	Y     string `json:"y"`
}

var errKey = errors.New("not a key")

func (k jwk) public() (crypto.PublicKey, error) {
	switch k.Type {
	case "RSA":
		return k.rsa()
	case "EC":
		return k.ec()
	case "OKP":
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || k.Curve != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, errKey
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errKey
}

func (k jwk) rsa() (crypto.PublicKey, error) {
	n, errN := base64.RawURLEncoding.DecodeString(k.N)
	e, errE := base64.RawURLEncoding.DecodeString(k.E)
	if errN != nil || errE != nil || len(n) > 1024 || len(e) == 0 || len(e) > 4 {
		return nil, errKey
	}
	exponent := new(big.Int).SetBytes(e).Int64()
	if exponent < 3 || exponent > 1<<31-1 || exponent%2 == 0 {
		return nil, errKey
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, nil
}

func (k jwk) ec() (crypto.PublicKey, error) {
	curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[k.Curve]
	if !ok {
		return nil, errKey
	}
	x, errX := base64.RawURLEncoding.DecodeString(k.X)
	y, errY := base64.RawURLEncoding.DecodeString(k.Y)
	size := (curve.Params().BitSize + 7) / 8
	if errX != nil || errY != nil || len(x) != size || len(y) != size {
		return nil, errKey
	}
	point := append(append([]byte{4}, x...), y...) // uncompressed, SEC 1 §2.3.3
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil { // not on the curve
		return nil, errKey
	}
	return key, nil
}
