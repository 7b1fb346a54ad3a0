package auth_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/broker/auth"
)

// TestGroupTopics: who may read and write which topics of hub groups.
func TestGroupTopics(t *testing.T) {
	who := map[string]auth.Principal{
		"viewer":   {Kind: auth.KindUser, Roles: []string{auth.RoleViewer}, Areas: []string{"*"}},
		"operator": {Kind: auth.KindUser, Roles: []string{auth.RoleOperator}, Areas: []string{"*"}},
		"northern": {Kind: auth.KindUser, Roles: []string{auth.RoleOperator}, Areas: []string{"north"}},
		"admin":    {Kind: auth.KindUser, Roles: []string{auth.RoleAdmin}},
		"gate-1":   {Kind: auth.KindDevice, Area: "north"},
		"wide":     {Kind: auth.KindDevice, Subscribe: []string{"#"}},
		"told":     {Kind: auth.KindDevice, Subscribe: []string{"tacet/group/alerts/#", "!tacet/group/g/#", "tacet/group/#"}},
	}
	names := []string{"viewer", "operator", "northern", "admin", "gate-1", "wide", "told"}
	for _, c := range []struct{ group, read, write string }{
		{"g", "viewer operator admin wide", "operator admin"},
		{"h", "viewer operator admin wide told", "operator admin"},
		{"area:north", "viewer operator northern admin gate-1 wide told", "operator northern admin"},
		{"area:south", "viewer operator admin wide told", "operator admin"},
		{"user:viewer", "viewer operator admin wide told", "operator admin"},
		{"user:northern", "operator admin wide told", "operator admin"},
		{"role:viewer", "viewer operator admin wide told", "operator admin"},
		{"role:admin", "operator admin wide told", "operator admin"},
		{"tenant:default", "viewer operator admin wide told", "operator admin"},
		{"tenant:acme", "operator admin wide told", "operator admin"},
		{"alerts", "operator admin wide told", "operator admin"},
	} {
		var read, write []string
		for _, n := range names {
			p := who[n]
			p.Name, p.Tenant = n, auth.DefaultTenant
			a, topic := p.Access(), "tacet/group/"+c.group+"/Event"
			if a.MayRead(topic) {
				read = append(read, n)
			}
			if a.MayPublish(topic) {
				write = append(write, n)
			}
			if all := a.MaySubscribe("tacet/group/#"); all != slices.Contains([]string{"viewer", "operator", "admin", "wide"}, n) {
				t.Errorf("%s may subscribe to all groups: %t", n, all)
			}
		}
		if got := strings.Join(read, " "); got != c.read {
			t.Errorf("%s is read by %s, want %s", c.group, got, c.read)
		}
		if got := strings.Join(write, " "); got != c.write {
			t.Errorf("%s is written by %s, want %s", c.group, got, c.write)
		}
	}
}
