package forward

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"time"
)

var errPin = errors.New("forward: not the certificate that the node has told of")

// PinOf is how a node is known by its certificate, given as DER.
func PinOf(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// newTransport makes the connections to one node. What authority its certificate is of
// does not matter: the node has told which one it shows.
func newTransport(wait time.Duration, pin string) *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: wait, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: wait,
		MaxIdleConnsPerHost: 256,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // what is compressed is the client's and the node's business
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, InsecureSkipVerify: true,
			VerifyConnection: func(s tls.ConnectionState) error {
				if pin == "" || PinOf(s.PeerCertificates[0].Raw) != pin {
					return errPin
				}
				return nil
			},
		},
	}
}
