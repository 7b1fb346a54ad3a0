package cli

import (
	"testing"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestLeaderInWords(t *testing.T) {
	for _, c := range []struct {
		l        area.Lead
		who, web string
	}{
		{area.Lead{}, "-", ""},
		{area.Lead{Mode: area.LeaderHub, Host: "hub-2", Live: true, Addr: "10.0.0.5:1883", Web: "https://:8443"}, "the hub hub-2", "https://10.0.0.5:8443"},
		{area.Lead{Mode: area.LeaderHub, Host: "hub-2", Addr: "[::]:1883", Web: "http://:8080"}, "the hub hub-2, silent", "https://hub.test"},
		{area.Lead{Mode: area.LeaderHub, Host: "hub-2", Live: true, Addr: ":1883", Web: "http://:8080"}, "the hub hub-2", "https://hub.test"},
		{area.Lead{Mode: area.LeaderHub, Host: "hub-2", Live: true, Addr: "[::]:1883"}, "the hub hub-2", ""},
		{area.Lead{Mode: area.LeaderLocal, Host: "gate-1", Live: true, Addr: "[fe80::1]:1883", Web: "http://:8080"}, "gate-1", "http://[fe80::1]:8080"},
		{area.Lead{Mode: area.LeaderLocal, Host: "gate-1", Addr: "0.0.0.0:1883", Web: "http://:8080"}, "gate-1, silent", "http://:8080"},
		{area.Lead{Mode: area.LeaderLocal, Host: "gate-1", Live: true, Web: "http://:8080"}, "gate-1", "http://:8080"},
		{area.Lead{Mode: area.LeaderLocal, Host: "gate-1", Live: true, Addr: "gate-1.local:1883"}, "gate-1", ""},
	} {
		if who, web := leads(c.l), webOf(c.l, "https://hub.test"); who != c.who || web != c.web {
			t.Errorf("%+v is %q at %q, want %q at %q", c.l, who, web, c.who, c.web)
		}
	}
}
