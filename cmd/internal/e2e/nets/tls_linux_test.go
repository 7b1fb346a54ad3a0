package nets

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/brokertest"
)

// mqttsPort is where the hub speaks TLS.
const mqttsPort = 8883

// encrypt has the devices, and who orders, speak TLS with the hub, and judge its
// certificate by an authority of ours. It answers the file of another authority.
func (s *site) encrypt() (stranger string) {
	s.t.Helper()
	dir := s.t.TempDir()
	ours := brokertest.NewCA(s.t)
	cert, key, ca := ours.Files(s.t, dir, "hub", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(s.hub.addr)} })
	s.hub.rewrite(s.hub.file, "areas:", fmt.Sprintf("http: {tls: {cert_file: %[1]s, key_file: %[2]s}}\nmqtt: {tls: {addr: \"%[3]s:%[4]d\", cert_file: %[1]s, key_file: %[2]s}}\nareas:",
		cert, key, s.hub.addr, mqttsPort))
	s.hub.tls = &tls.Config{RootCAs: ours.Pool}
	s.hub.web.Transport = &http.Transport{DialContext: s.hub.dial, TLSClientConfig: s.hub.tls}
	for _, g := range s.gates {
		g.rewrite(g.file("device.yaml"), fmt.Sprintf("mqtt://%s:%d", s.hub.addr, mqttPort), fmt.Sprintf("mqtts://%s:%d", s.hub.addr, mqttsPort))
		g.rewrite(g.file("device.yaml"), "area:", "ca_file: "+ca+"\narea:")
	}
	_, _, stranger = brokertest.NewCA(s.t).Files(s.t, filepath.Dir(s.gates[0].file("x")), "stranger")
	return stranger
}

// rewrite puts one text in the place of another in a file, which must have it.
func (h *host) rewrite(file, old, with string) {
	h.t.Helper()
	b, err := os.ReadFile(file)
	if err == nil && !bytes.Contains(b, []byte(old)) {
		err = fmt.Errorf("%s has no %q", file, old)
	}
	if err == nil {
		err = os.WriteFile(file, bytes.Replace(b, []byte(old), []byte(with), 1), 0o600)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// TestANeighbourCarriesTLS: a device without an uplink speaks TLS with the hub
// through a neighbour, which cannot read it. A device that knows another authority
// says nothing to that hub, whoever carries it.
func TestANeighbourCarriesTLS(t *testing.T) {
	t.Parallel()
	plan := planSite(t, 3, ", topology: direct", peers)
	stranger := plan.encrypt()
	plan.begin()
	s := &team{site: plan, ear: plan.hub.listen(plan.gates[0].id, secret)}
	s.primed(short)
	cut := s.gates[0]
	s.lan.cut([]*host{cut.host}, []*host{s.hub.host})
	for _, g := range s.gates {
		s.ended(s.order(g.alone(), short))
	}
	cut.p.kill()
	played := len(cut.plays())
	cut.rewrite(cut.file("device.yaml"), "ca_file: ", "ca_file: "+stranger+" # ")
	cut.start()
	id := s.order(cut.alone(), short)
	until(t, "the hub's certificate is refused through a neighbour", func() (bool, string) {
		return strings.Contains(cut.p.errs.String(), "signed by unknown authority"), cut.p.errs.last(20)
	})
	for _, g := range s.but(cut) {
		s.ended(s.order(g.alone(), short))
	}
	if plays := cut.plays(); len(plays) != played {
		t.Errorf("it has played %v, where %d were before it knew nobody", plays, played)
	}
	cut.p.kill()
	cut.rewrite(cut.file("device.yaml"), "ca_file: "+stranger+" # ", "ca_file: ")
	cut.start()
	s.ended(id)
	s.lasts()
	s.lan.heal()
	s.order(cut.alone(), short)
	s.judge(allow{})
}
