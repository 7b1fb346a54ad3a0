package brokertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// CA is a certificate authority of a test.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	PEM  []byte         // its certificate
	Pool *x509.CertPool // holds it alone
}

// NewCA makes an authority whose certificate is valid for a day.
func NewCA(t testing.TB) *CA {
	t.Helper()
	ca := &CA{key: newKey(t), Pool: x509.NewCertPool()}
	tmpl := template("CA of a test", time.Now().Add(24*time.Hour))
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	var der []byte
	ca.cert, der = sign(t, tmpl, tmpl, ca.key, ca.key)
	ca.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	ca.Pool.AddCert(ca.cert)
	return ca
}

// Issue makes a certificate for 127.0.0.1, ::1 and localhost, or for a client,
// with the common name. It is valid for an hour unless the change says
// otherwise.
func (ca *CA) Issue(t testing.TB, name string, change ...func(*x509.Certificate)) (certPEM, keyPEM []byte) {
	t.Helper()
	tmpl := leaf(name)
	for _, f := range change {
		f(tmpl)
	}
	key := newKey(t)
	_, der := sign(t, tmpl, ca.cert, key, ca.key)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// Certificate is Issue for use in a [tls.Config].
func (ca *CA) Certificate(t testing.TB, name string, change ...func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(ca.Issue(t, name, change...))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// SelfSigned is as [CA.Certificate], vouched for by nobody.
func SelfSigned(t testing.TB, name string) tls.Certificate {
	t.Helper()
	key, tmpl := newKey(t), leaf(name)
	_, der := sign(t, tmpl, tmpl, key, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Files writes Issue's certificate and key, and the authority's certificate,
// into dir as NAME.pem, NAME.key and ca.pem.
func (ca *CA) Files(t testing.TB, dir, name string, change ...func(*x509.Certificate)) (certFile, keyFile, caFile string) {
	t.Helper()
	cert, key := ca.Issue(t, name, change...)
	certFile, keyFile, caFile = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"), filepath.Join(dir, "ca.pem")
	for path, b := range map[string][]byte{certFile: cert, keyFile: key, caFile: ca.PEM} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, caFile
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func template(name string, end time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // it cannot fail
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: end}
}

func leaf(name string) *x509.Certificate {
	tmpl := template(name, time.Now().Add(time.Hour))
	tmpl.DNSNames = []string{"localhost"}
	tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return tmpl
}

func sign(t testing.TB, tmpl, parent *x509.Certificate, key, by *ecdsa.PrivateKey) (*x509.Certificate, []byte) {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, der
}
