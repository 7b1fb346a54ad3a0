package update

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// Release is a manifest and its signature, as they travel and are kept together:
// the two can never be of different builds.
type Release struct {
	Manifest  string `json:"manifest"`  // the exact bytes that were signed
	Signature []byte `json:"signature"` // ed25519; base64 in JSON
}

// ErrSignature is the error of a release that none of the keys has signed.
var ErrSignature = errors.New("the signature is of none of the keys that are trusted here")

// Encode writes r as JSON.
func (r Release) Encode() []byte {
	b, _ := json.Marshal(r) // two texts
	return append(b, '\n')
}

// ParseRelease reads a release. It checks neither the signature nor the
// manifest: see [Keys.Verify].
func ParseRelease(b []byte) (Release, error) {
	var r Release
	if len(b) > MaxRelease {
		return r, fmt.Errorf("release: more than %d bytes", MaxRelease)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("release: %w", err)
	}
	return r, nil
}

// Keys are the public keys whose releases are believed. The zero value believes
// none.
type Keys []ed25519.PublicKey

// ParseKeys reads public keys as [PublicText] writes them. Its error says which
// one is none.
func ParseKeys(texts []string) (Keys, error) {
	var keys Keys
	for i, t := range texts {
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(t))
		if err != nil || len(b) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("key %d: %.60q is not 32 bytes in base64", i+1, t)
		}
		keys = append(keys, b)
	}
	return keys, nil
}

// Verify checks the signature of a release, and then reads its manifest.
func (k Keys) Verify(r Release) (Manifest, error) {
	for _, key := range k {
		if ed25519.Verify(key, []byte(r.Manifest), r.Signature) {
			return ParseManifest([]byte(r.Manifest))
		}
	}
	return Manifest{}, ErrSignature
}

// Sign makes the release of a manifest, which must be valid.
func Sign(key ed25519.PrivateKey, m Manifest) (Release, error) {
	if err := m.Validate(); err != nil {
		return Release{}, err
	}
	text := m.Encode()
	return Release{Manifest: string(text), Signature: ed25519.Sign(key, text)}, nil
}

// NewKey makes a key pair.
func NewKey() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

// PublicText is the public key of a private one, as configurations have it: 32
// bytes in base64.
func PublicText(key ed25519.PrivateKey) string {
	public := key.Public().(ed25519.PublicKey) // the method promises it
	return base64.StdEncoding.EncodeToString(public)
}

// pemType is what openssl calls it: `openssl genpkey -algorithm ed25519` makes
// such files too.
const pemType = "PRIVATE KEY"

// EncodeKey writes a private key as PEM (PKCS 8).
func EncodeKey(key ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// ParseKey reads a private key as [EncodeKey] writes it.
func ParseKey(b []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(b)
	if block == nil || block.Type != pemType {
		return nil, errors.New("it is not a private key in PEM (PKCS 8)")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("it is a key of type %T, not ed25519", key)
	}
	return private, nil
}
