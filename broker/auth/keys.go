package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// family is the kind of key that an algorithm works with.
type family int

const (
	familyHMAC family = iota + 1
	familyRSA
	familyEC256
	familyEC384
	familyEC521
	familyEd25519
)

// families binds each algorithm that may be pinned to its kind of key. "none"
// is not among them.
var families = map[string]family{
	"HS256": familyHMAC, "HS384": familyHMAC, "HS512": familyHMAC,
	"RS256": familyRSA, "RS384": familyRSA, "RS512": familyRSA,
	"PS256": familyRSA, "PS384": familyRSA, "PS512": familyRSA,
	"ES256": familyEC256, "ES384": familyEC384, "ES512": familyEC521,
	"EdDSA": familyEd25519,
}

func algorithms() []string { return slices.Sorted(maps.Keys(families)) }

// keySource finds the key of an issuer for an algorithm.
type keySource interface {
	// find answers the key with the id; without an id, the one key that fits
	// the algorithm.
	find(ctx context.Context, alg, kid string) (any, error)
}

// keysOf makes the key source of a valid configuration.
func (a *Authority) keysOf(c Issuer) (keySource, error) {
	switch {
	case c.JWKSURL != "":
		return newJWKS(c.JWKSURL, a.now, &a.count), nil
	case len(c.Secret) > 0:
		return secretKey(slices.Clone(c.Secret)), nil
	}
	keys, err := parsePEM(c.PublicKey, c.Algorithms)
	return pemKeys(keys), err
}

// secretKey is for HMAC, and nothing else.
type secretKey []byte

func (s secretKey) find(_ context.Context, alg, _ string) (any, error) {
	if families[alg] != familyHMAC {
		return nil, errToken
	}
	return []byte(s), nil
}

// pemKeys are keys without ids: whichever fits may have signed.
type pemKeys []crypto.PublicKey

func (p pemKeys) find(_ context.Context, alg, _ string) (any, error) {
	var set jwt.VerificationKeySet
	for _, k := range p {
		if familyOf(k) == families[alg] {
			set.Keys = append(set.Keys, k)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errToken
	}
	return set, nil
}

// familyOf is the kind of a public key, 0 where it is of none that we take: an
// RSA key has 2048 to 8192 bits.
func familyOf(key crypto.PublicKey) family {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n >= 2048 && n <= 8192 && k.E >= 3 {
			return familyRSA
		}
	case *ecdsa.PublicKey:
		switch k.Curve.Params().BitSize {
		case 256:
			return familyEC256
		case 384:
			return familyEC384
		case 521:
			return familyEC521
		}
	case ed25519.PublicKey:
		return familyEd25519
	}
	return 0
}

// parsePEM reads public keys and certificates, and checks that there is a key
// for every algorithm.
func parsePEM(data []byte, algs []string) ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("holds no public key in PEM")
	}
	for _, alg := range algs {
		if !slices.ContainsFunc(keys, func(k crypto.PublicKey) bool { return familyOf(k) == families[alg] }) {
			return nil, fmt.Errorf("holds no key for algorithm %s", alg)
		}
	}
	return keys, nil
}

func parseBlock(b *pem.Block) (crypto.PublicKey, error) {
	var key crypto.PublicKey
	var err error
	switch b.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(b.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(b.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(b.Bytes); err == nil {
			key = cert.PublicKey
		}
	default:
		return nil, fmt.Errorf("holds a %q, which is no public key", b.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("holds a %s that cannot be read", b.Type)
	}
	if familyOf(key) == 0 {
		return nil, errors.New("holds a key of a kind or size that is not taken")
	}
	return key, nil
}
