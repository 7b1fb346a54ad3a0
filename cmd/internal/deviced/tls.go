package deviced

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// tls is how the device knows its hub, and shows itself to it. Its own
// certificate is read at each connection, so that a new one needs no restart; a
// file that is not there yet, or is half written, costs that connection alone.
func (c Config) tls() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file: %s has no certificate", c.CAFile)
		}
	}
	if c.CertFile == "" {
		return cfg, nil
	}
	show := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file: %w", err)
		}
		return &pair, nil
	}
	if _, err := show(); err != nil {
		return nil, err
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return show() }
	return cfg, nil
}
