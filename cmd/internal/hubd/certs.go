package hubd

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Times of certificates.
const (
	certLook  = 20 * time.Second    // between two looks at the files
	certWarn  = 14 * 24 * time.Hour // before the end
	certAgain = 24 * time.Hour      // between two warnings of it
)

// certs is the certificate of one listener. It is read again on request and
// when its files change; connections that stand keep what they began with. A
// file that cannot be used leaves the old certificate in its place, and is told
// of once.
type certs struct {
	name            string   // the listener's key, for errors: http.tls, mqtt.tls
	cert, key, root string   // files; root, which has the authorities of clients, may be empty
	ask             bool     // a client may do without a certificate; false: with root it needs one
	protocols       []string // for ALPN; none: whatever the client says
	log             *slog.Logger

	now atomic.Pointer[tls.Config]

	mu     sync.Mutex // held while files are read
	seen   [3]stamp
	fault  string    // that was told last; empty: none
	end    time.Time // of the certificate
	warned time.Time // of its end
	loads  atomic.Uint64
	faults atomic.Uint64
}

// stamp tells whether a file has changed.
type stamp struct {
	size int64
	mod  time.Time
}

// loadCerts reads the files; an error says which of them is at fault.
// A certificate that has ended is better than no hub: clients will refuse it,
// and say why.
func loadCerts(c *certs) (*certs, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.load(); err != nil {
		return nil, err
	}
	c.warn(time.Now())
	return c, nil
}

// config is for a listener: every handshake takes what is current.
func (c *certs) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.now.Load(), nil },
	}
}

// look reads the files again where one has changed, or was at fault.
func (c *certs) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fault != "" || c.stamps() != c.seen {
		_ = c.renew()
	}
	c.warn(now)
}

// reload reads the files again.
func (c *certs) reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.renew()
	c.warn(time.Now())
	return err
}

// renew is load for a listener that has a certificate already. That the same was
// read again is no news, but after a fault.
func (c *certs) renew() error {
	old := c.now.Load()
	err := c.load()
	switch {
	case err == nil && c.fault == "" && sameCerts(old, c.now.Load()):
	case err == nil:
		c.fault = ""
		c.log.Info("certificate read again", "rule", c.name, "dur", time.Until(c.end).Round(time.Hour))
	case err.Error() != c.fault:
		c.fault = err.Error()
		c.log.Error("certificate not taken, the old one stays", "rule", c.name, "err", err)
	}
	return err
}

// sameCerts tells whether two configurations have one certificate and the same
// authorities of clients.
func sameCerts(a, b *tls.Config) bool {
	return slices.EqualFunc(a.Certificates[0].Certificate, b.Certificates[0].Certificate, bytes.Equal) && a.ClientCAs.Equal(b.ClientCAs)
}

func (c *certs) load() (err error) {
	defer func() {
		if err != nil {
			c.faults.Add(1)
			err = fmt.Errorf("%s: %w", c.name, err)
		}
	}()
	c.seen = c.stamps()
	pair, authorities, err := conf.ReadCertificate(c.cert, c.key, c.root)
	if err != nil {
		return err
	}
	if c.now.Load() != nil && time.Until(pair.Leaf.NotAfter) <= 0 {
		return fmt.Errorf("%s has expired at %s", c.cert, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	next := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: c.protocols}
	if authorities != nil {
		next.ClientCAs = authorities
		next.ClientAuth = tls.RequireAndVerifyClientCert
		if c.ask {
			next.ClientAuth = tls.VerifyClientCertIfGiven
		}
		next.SessionTicketsDisabled = true // a session that is resumed would outlive a change of the authorities
	}
	c.now.Store(next)
	c.end, c.warned = pair.Leaf.NotAfter, time.Time{}
	c.loads.Add(1)
	if info, err := os.Stat(c.key); err == nil && info.Mode()&0o004 != 0 {
		c.log.Warn("private key can be read by everybody on this machine", "rule", c.name)
	}
	return nil
}

// warn says once a day that the certificate ends soon, or has ended.
func (c *certs) warn(now time.Time) {
	if c.end.Sub(now) > certWarn || now.Sub(c.warned) < certAgain {
		return
	}
	c.warned = now
	c.log.Warn("certificate ends soon", "rule", c.name, "dur", c.end.Sub(now).Round(time.Minute))
}

func (c *certs) stamps() (s [3]stamp) {
	for i, file := range []string{c.cert, c.key, c.root} {
		if info, err := os.Stat(file); err == nil {
			s[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return s
}

// CertStats are about the certificates of all listeners.
type CertStats struct {
	Loads  uint64        // times that a certificate was taken, at the start too
	Faults uint64        // times that one was not
	Left   time.Duration // until the first one ends; 0: there is none
}

// tlsCerts are those of the listeners that have one.
type tlsCerts []*certs

// loadTLS reads the certificates that the configuration names.
func (h *Hub) loadTLS() error {
	web, mqtt := h.cfg.HTTP.TLS, h.cfg.MQTT.TLS
	if web.CertFile != "" {
		// WebSockets begin as HTTP/1.1, and with one protocol there is one set of limits.
		// A device that has a certificate for MQTT fetches what it plays with the same.
		c, err := loadCerts(&certs{name: "http.tls", cert: web.CertFile, key: web.KeyFile, root: mqtt.ClientCAFile, ask: true, protocols: []string{"http/1.1"}, log: h.log})
		if err != nil {
			return err
		}
		h.webTLS, h.certs = c, append(h.certs, c)
	}
	if mqtt.Addr != "" {
		c, err := loadCerts(&certs{name: "mqtt.tls", cert: mqtt.CertFile, key: mqtt.KeyFile, root: mqtt.ClientCAFile, log: h.log})
		if err != nil {
			return err
		}
		h.mqttTLS, h.certs = c, append(h.certs, c)
	}
	return nil
}

func (all tlsCerts) stats() (s CertStats) {
	for _, c := range all {
		s.Loads += c.loads.Load()
		s.Faults += c.faults.Load()
		c.mu.Lock()
		if left := time.Until(c.end); s.Left == 0 || left < s.Left {
			s.Left = left
		}
		c.mu.Unlock()
	}
	return s
}

// run looks at the files until ctx ends.
func (all tlsCerts) run(ctx context.Context) error {
	tick := time.NewTicker(certLook)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			for _, c := range all {
				c.look(now)
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// reload reads all of them again; its error tells each that was not taken.
func (all tlsCerts) reload() error {
	var faults []error
	for _, c := range all {
		faults = append(faults, c.reload())
	}
	return errors.Join(faults...)
}
