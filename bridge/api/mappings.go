package api

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/tacet-hub/tacet/bridge/mapping"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var mappingRoutes = []route{
	{http.MethodGet, "/mappings", auth.Read, (*API).listMappings},
	{http.MethodPost, "/mappings", auth.Operate, (*API).createMapping},
	{http.MethodGet, "/mappings/{mapping}", auth.Read, (*API).getMapping},
	{http.MethodPut, "/mappings/{mapping}", auth.Operate, (*API).putMapping},
	{http.MethodPatch, "/mappings/{mapping}", auth.Operate, (*API).patchMapping},
	{http.MethodDelete, "/mappings/{mapping}", auth.Operate, (*API).deleteMapping},
}

// listMappings answers all mappings, by their ids: they say how topics are read
// and nothing of what is in an area.
func (a *API) listMappings(c *call) (answer, error) {
	if c.foreign() {
		return page(c, []mapping.Entry{}, func(e *mapping.Entry) string { return e.ID })
	}
	return page(c, a.Mappings.Mappings(), func(e *mapping.Entry) string { return e.ID })
}

func (a *API) getMapping(c *call) (answer, error) {
	e, err := a.mapping(c)
	if err != nil {
		return answer{}, err
	}
	return ok(e)
}

// mapping is the mapping that the path names.
func (a *API) mapping(c *call) (mapping.Entry, error) {
	id := c.PathValue("mapping")
	if c.foreign() {
		return mapping.Entry{}, area.Errorf(area.CodeNotFound, "no mapping %.80q", id)
	}
	return a.Mappings.Mapping(id)
}

// mappingToWrite is the mapping that the path names, as the caller knows it. A
// mapping may put sensors into any area, and takes the right to all of them.
func (a *API) mappingToWrite(c *call) (mapping.Entry, error) {
	e, err := a.mapping(c)
	if err == nil {
		err = c.may(auth.Operate, anyArea)
	}
	if err == nil {
		err = c.unchanged(e)
	}
	return e, err
}

func (a *API) createMapping(c *call) (answer, error) {
	b, err := c.body()
	if err != nil {
		return answer{}, err
	}
	e, err := readMapping(b, "")
	if err == nil {
		err = cmp.Or(c.home(), c.may(auth.Operate, anyArea))
	}
	if err != nil {
		return answer{}, err
	}
	if e.ID == "" {
		e.ID = "m-" + strings.ToLower(rand.Text()[:12])
	}
	if e, err = a.Mappings.CreateMapping(c.Context(), e); err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: e, location: "/mappings/" + e.ID}, nil
}

func (a *API) putMapping(c *call) (answer, error) {
	now, err := a.mappingToWrite(c)
	if err != nil {
		return answer{}, err
	}
	b, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return a.replaceMapping(c, now.ID, b)
}

func (a *API) patchMapping(c *call) (answer, error) {
	now, err := a.mappingToWrite(c)
	if err != nil {
		return answer{}, err
	}
	whole, err := c.patched(now)
	if err != nil {
		return answer{}, err
	}
	return a.replaceMapping(c, now.ID, whole)
}

func (a *API) replaceMapping(c *call, id string, body []byte) (answer, error) {
	e, err := readMapping(body, id)
	if err != nil {
		return answer{}, err
	}
	if e, err = a.Mappings.ReplaceMapping(c.Context(), e); err != nil {
		return answer{}, err
	}
	return ok(e)
}

func (a *API) deleteMapping(c *call) (answer, error) {
	now, err := a.mappingToWrite(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.Mappings.DeleteMapping(c.Context(), now.ID); err != nil {
		return answer{}, err
	}
	return nothing()
}

// mappingBody is the body of a mapping. What the hub writes (source) may stand
// there and is ignored, so that what was read can be sent back.
type mappingBody struct {
	ID *string `json:"id"`
	mapping.Rule
	Source json.RawMessage `json:"source"`
}

// readMapping reads a body; id is that of the path, empty for a new one.
func readMapping(body []byte, id string) (mapping.Entry, error) {
	var b mappingBody
	if err := area.DecodeRequest(body, &b); err != nil {
		return mapping.Entry{}, err
	}
	e := mapping.Entry{ID: id, Rule: b.Rule, Source: area.SourceAPI}
	var bad []area.FieldError
	switch {
	case b.ID == nil:
	case id != "" && *b.ID != id:
		bad = append(bad, area.FieldError{Field: "id", Message: "not the one of the path"})
	case !area.IsID(*b.ID):
		bad = append(bad, area.FieldError{Field: "id", Message: "not 1 to 64 of A-Z a-z 0-9 _ -"})
	default:
		e.ID = *b.ID
	}
	if b.Topic == "" {
		bad = append(bad, area.FieldError{Field: "topic", Message: "a topic filter is needed"})
	}
	return e, invalid(bad)
}
