package api

import (
	"net/http"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var locationRoutes = []route{
	{http.MethodGet, "/locations", auth.Read, (*API).listLocations},
}

// location is a location and where it is.
type location struct {
	area.Location
	Area area.Name `json:"area"`
}

func (a *API) listLocations(c *call) (answer, error) {
	q := c.query()
	in := area.Name(q.id("area"))
	if err := q.err(); err != nil {
		return answer{}, err
	}
	var all []location
	for _, x := range a.Areas.Areas() {
		if in != "" && x.ID != in || !c.sees(x.ID) {
			continue
		}
		for _, l := range x.Locations {
			all = append(all, location{Location: l, Area: x.ID})
		}
	}
	return page(c, all, func(l *location) string { return string(l.ID) })
}
