package api

import (
	"net/http"
	"slices"

	"github.com/tacet-hub/tacet/bridge/census"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// Nodes knows the nodes of the hub, the one that is asked among them: what of
// [census.Census] REST needs.
type Nodes interface {
	Nodes() []census.Node
}

var nodeRoutes = []route{
	{http.MethodGet, "/nodes", auth.Read, (*API).listNodes},
	{http.MethodGet, "/nodes/{node}", auth.Read, (*API).getNode},
}

// nodes are those that the caller sees, each with the areas that he sees.
func (a *API) nodes(c *call) []census.Node {
	if c.foreign() {
		return nil
	}
	list := a.Nodes.Nodes()
	for i, n := range list {
		list[i].Areas = slices.DeleteFunc(slices.Clone(n.Areas), func(in area.Name) bool { return !c.sees(in) })
	}
	return list
}

func (a *API) listNodes(c *call) (answer, error) {
	return page(c, a.nodes(c), func(n *census.Node) string { return n.Node })
}

func (a *API) getNode(c *call) (answer, error) {
	for _, n := range a.nodes(c) {
		if n.Node == c.PathValue("node") {
			return ok(n)
		}
	}
	return answer{}, area.Errorf(area.CodeNotFound, "no node %.80q", c.PathValue("node"))
}
