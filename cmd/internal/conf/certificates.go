package conf

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// ReadCertificate reads the certificate and the key of a listener, and the
// authorities of its clients; root may be empty: there are none, and the pool is
// nil. Files are PEM. Its error names the file. It blocks for the files.
func ReadCertificate(cert, key, root string) (pair tls.Certificate, pool *x509.CertPool, err error) {
	if pair, err = tls.LoadX509KeyPair(cert, key); err != nil {
		if _, named := errors.AsType[*fs.PathError](err); !named {
			err = fmt.Errorf("%s and %s: %w", cert, key, err)
		}
		return tls.Certificate{}, nil, err
	}
	if root == "" {
		return pair, nil, nil
	}
	b, err := os.ReadFile(root)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	pool = x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return tls.Certificate{}, nil, fmt.Errorf("%s has no certificate", root)
	}
	return pair, pool, nil
}

// Check is [Load], and reads the certificates as the start of a hub does. Load
// leaves them to it: a hub that runs keeps the old ones where a file is broken.
func Check(base Config, flags Flags, environ []string) (Config, error) {
	c, err := Load(base, flags, environ)
	var faults settings.Faults
	faults.Add(err)
	for _, l := range []struct{ key, cert, private, root string }{
		{"http.tls", c.HTTP.TLS.CertFile, c.HTTP.TLS.KeyFile, ""},
		{"mqtt.tls", c.MQTT.TLS.CertFile, c.MQTT.TLS.KeyFile, c.MQTT.TLS.ClientCAFile},
	} {
		if l.cert == "" || l.private == "" { // none, or told already
			continue
		}
		if _, _, err := ReadCertificate(l.cert, l.private, l.root); err != nil {
			faults = append(faults, c.Faultf(l.key, "%s", err))
		}
	}
	return c, faults.Err()
}
