package auth

import (
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// groupRights says which topics of hub groups somebody may read who may read
// topics at all: what is said to a user, a role or a tenant is for those who are
// it, on topics as at the hub, and for operators, who read everything.
type groupRights struct {
	all          bool
	name, tenant string
	roles        []string
}

func (p Principal) groupRights() groupRights {
	return groupRights{all: p.Kind != KindDevice && p.rank() >= Operate && p.everywhere(), name: p.Name, tenant: p.Tenant, roles: p.Roles}
}

const groupTopics = area.Root + "/group/"

// mayRead refuses the topics of others' groups.
func (g *groupRights) mayRead(topic string) bool {
	rest, ok := strings.CutPrefix(topic, groupTopics)
	if !ok || g.all {
		return true
	}
	group, _, _ := strings.Cut(rest, "/")
	switch kind, of, _ := strings.Cut(group, ":"); kind {
	case "user":
		return of == g.name
	case "role":
		return slices.Contains(g.roles, of)
	case "tenant":
		return of == g.tenant
	case "alerts": // what an operator has to know
		return false
	}
	return true
}
