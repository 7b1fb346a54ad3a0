package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge/signalr"
)

// The two servers that are compared. Both do the same: whoever connects with
// ?role=member gets what others publish, and what comes by "echo" goes back.
const (
	kindOurs = "signalr"
	kindRaw  = "raw"

	overTLS  = "-tls"  // behind either: over TLS
	withAuth = "-auth" // behind ours: every connection proves who it is, and has claims
)

// isRaw says that the server is the anchor.
func isRaw(kind string) bool { return strings.HasPrefix(kind, kindRaw) }

// isSecure says that the server speaks TLS.
func isSecure(kind string) bool { return strings.HasSuffix(kind, overTLS) }

const group = "all"

// claimed is who the holder of a token is, as a service would read it from one.
func claimed(r *http.Request) (signalr.Principal, error) {
	token := r.URL.Query().Get("access_token")
	if token == "" {
		return signalr.Principal{}, errors.New("no token")
	}
	return signalr.Principal{
		Name: token, Roles: []string{"device", "listener"}, Expires: time.Now().Add(time.Hour),
		Claims: map[string]any{"sub": token, "site": "airport", "gate": "gate-" + token, "level": 3},
	}, nil
}

// oursHub is the hub; with a cluster it is one of several nodes.
func oursHub(auth bool, cluster signalr.Cluster) (*signalr.Server, error) {
	cfg := signalr.Config{Cluster: cluster}
	if auth {
		cfg.Authenticate, cfg.UserClaim = claimed, "sub"
		cfg.Require = []signalr.Requirement{signalr.RequireRole("device")}
	}
	hub, err := signalr.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	hub.OnConnect(func(c *signalr.Conn) {
		if c.Query().Get("role") == "member" {
			_, _ = c.Join(group) // an error means that it is gone
		}
	})
	hub.Handle("Publish", func(_ context.Context, c *signalr.Call) (any, error) {
		var text string
		if err := c.Bind(&text); err != nil {
			return nil, err
		}
		hub.Group(group).Send("m", text)
		return nil, nil
	})
	hub.Handle("PublishToEach", func(_ context.Context, c *signalr.Call) (any, error) {
		var text string
		if err := c.Bind(&text); err != nil {
			return nil, err
		}
		for _, m := range hub.Members(group) {
			_ = m.Send("m", text) // an error means that it is too slow, which is what is looked for
		}
		return nil, nil
	})
	hub.Handle("Echo", func(_ context.Context, c *signalr.Call) (any, error) {
		var text string
		if err := c.Bind(&text); err != nil {
			return nil, err
		}
		return text, nil
	})
	return hub, nil
}

// selfSigned is a certificate for this machine and an hour.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, about, about, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
