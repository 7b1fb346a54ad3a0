package api

import (
	"net/http"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var groupRoutes = []route{
	{http.MethodGet, "/groups/{group}/members", auth.Read, (*API).listMembers},
	{http.MethodPut, "/groups/{group}/members/{connection}", auth.Operate, (*API).addMember},
	{http.MethodDelete, "/groups/{group}/members/{connection}", auth.Operate, (*API).removeMember},
	{http.MethodGet, "/presence", auth.Read, (*API).listPresence},
	{http.MethodGet, "/last-seen", auth.Read, (*API).listLastSeen},
	{http.MethodDelete, "/connections/{connection}", auth.Operate, (*API).closeConnection},
}

// group is the group that the path names; what is no name names nothing.
func (c *call) group() (area.Group, error) {
	g, err := area.ParseGroup(c.PathValue("group"))
	if err != nil {
		return "", area.Errorf(area.CodeNotFound, "%.80q is no name of a group", c.PathValue("group"))
	}
	return g, nil
}

func (a *API) listMembers(c *call) (answer, error) {
	g, err := c.group()
	if err != nil {
		return answer{}, err
	}
	m, err := a.Groups.Members(c.who, g)
	if err != nil {
		return answer{}, err
	}
	return page(c, m, connectionOf)
}

func connectionOf(m *Member) string { return m.ConnectionID }

func (a *API) addMember(c *call) (answer, error) { return a.setMember(c, true) }

func (a *API) removeMember(c *call) (answer, error) { return a.setMember(c, false) }

func (a *API) setMember(c *call, member bool) (answer, error) {
	g, err := c.group()
	if err != nil {
		return answer{}, err
	}
	if err := a.Groups.SetMember(c.Context(), c.who, g, c.PathValue("connection"), member); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *API) listPresence(c *call) (answer, error) {
	q := c.query()
	scope := q.text("scope")
	if scope == "" {
		scope = "tenant"
	}
	if !isScope(scope) {
		q.fault("scope", "none of tenant, area:A, group:G, user:U, attr:K=V")
	}
	if err := q.err(); err != nil {
		return answer{}, err
	}
	m, err := a.Groups.Presence(c.who, scope)
	if err != nil {
		return answer{}, err
	}
	return page(c, m, connectionOf)
}

func (a *API) closeConnection(c *call) (answer, error) {
	id := c.PathValue("connection")
	if err := a.Groups.Close(c.Context(), c.who, id); err != nil {
		return answer{}, err
	}
	a.log.Info("connection closed by request", "conn", id, "who", c.caller())
	return nothing()
}

func isScope(s string) bool {
	kind, rest, cut := strings.Cut(s, ":")
	switch kind {
	case "tenant":
		return !cut
	case "area", "group", "user":
		return rest != ""
	case "attr":
		key, _, found := strings.Cut(rest, "=")
		return found && key != ""
	}
	return false
}
