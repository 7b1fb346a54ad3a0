package conf

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/brokertest"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// TestCheckReadsCertificates: what the start of a hub would refuse is a fault,
// and Load leaves it alone.
func TestCheckReadsCertificates(t *testing.T) {
	ca, dir := brokertest.NewCA(t), t.TempDir()
	cert, key, root := ca.Files(t, dir, "hub")
	other, _, _ := ca.Files(t, t.TempDir(), "hub")
	none := filepath.Join(dir, "none.pem")
	web := func(cert, key string) string {
		return "http: {tls: {cert_file: " + cert + ", key_file: " + key + "}}\n"
	}
	mqtt := func(root string) string {
		return "mqtt: {tls: {addr: \"127.0.0.1:0\", cert_file: " + cert + ", key_file: " + key + ", client_ca_file: " + root + "}}\n"
	}
	for name, c := range map[string]struct {
		text string
		want []string // one for each fault
	}{
		"whole":            {web(cert, key) + mqtt(root), nil},
		"none":             {"", nil},
		"no certificate":   {web(none, key), []string{"http.tls: open " + none + ": no such file"}},
		"no key":           {web(cert, none), []string{"http.tls: open " + none + ": no such file"}},
		"key of another":   {web(other, key), []string{"http.tls: " + other + " and " + key + ": "}},
		"no authority":     {mqtt(none), []string{"mqtt.tls: open " + none + ": no such file"}},
		"authority of key": {mqtt(key), []string{"mqtt.tls: " + key + " has no certificate"}},
		"all at once":      {"node: a b\n" + web(none, key) + mqtt(none), []string{"node: ", "http.tls: ", "mqtt.tls: "}},
	} {
		t.Run(name, func(t *testing.T) {
			flags := Flags{Config: write(t, "t.yaml", c.text, 0o600)}
			_, err := Check(Default(), flags, nil)
			faults, _ := err.(settings.Faults)
			if len(faults) != len(c.want) {
				t.Fatalf("got %v, want %d faults", err, len(c.want))
			}
			for i, want := range c.want {
				if got := faults[i].Key + ": " + faults[i].Text; !strings.HasPrefix(got, want) || !strings.HasPrefix(faults[i].Where, flags.Config+":") {
					t.Errorf("fault %d: got %s, want %s", i, faults[i], want)
				}
			}
			if _, err := Load(Default(), flags, nil); err != nil && !strings.HasPrefix(name, "all") {
				t.Errorf("Load: %v", err)
			}
		})
	}
}
