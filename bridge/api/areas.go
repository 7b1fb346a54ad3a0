package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

var areaRoutes = []route{
	{http.MethodGet, "/areas", auth.Read, (*API).listAreas},
	{http.MethodPost, "/areas", auth.Operate, (*API).createArea},
	{http.MethodGet, "/areas/{area}", auth.Read, (*API).getArea},
	{http.MethodPut, "/areas/{area}", auth.Operate, (*API).putArea},
	{http.MethodPatch, "/areas/{area}", auth.Operate, (*API).patchArea},
	{http.MethodDelete, "/areas/{area}", auth.Operate, (*API).removeArea},
	{http.MethodPost, "/areas/{area}/stop", auth.Operate, (*API).stopArea},
	{http.MethodGet, "/areas/{area}/proof", auth.Read, (*API).getProof},
	{http.MethodGet, "/areas/{area}/key", auth.Operate, (*API).getKey},
	{http.MethodPost, "/areas/{area}/key", auth.Operate, (*API).rotateKey},
	{http.MethodPost, "/stop", auth.Operate, (*API).stopAll},
}

func (a *API) listAreas(c *call) (answer, error) {
	seen := shown(c, a.Areas.Areas(), func(x *area.Area) area.Name { return x.ID })
	return page(c, seen, func(x *area.Area) string { return string(x.ID) })
}

// area is the area that the path names, for a caller who may do something there.
func (a *API) area(c *call, do auth.Action) (area.Area, error) {
	id := c.PathValue("area")
	if x, found := a.Areas.Area(area.Name(id)); found && area.IsID(id) && !c.foreign() {
		return x, c.may(do, x.ID)
	}
	return area.Area{}, area.Errorf(area.CodeNotFound, "no area %.80q", id)
}

func (a *API) getArea(c *call) (answer, error) {
	x, err := a.area(c, auth.Read)
	if err != nil {
		return answer{}, err
	}
	return ok(x)
}

func (a *API) removeArea(c *call) (answer, error) {
	x, err := a.areaToWrite(c)
	if err != nil {
		return answer{}, err
	}
	if err := a.Areas.RemoveArea(c.Context(), x.ID); err != nil {
		return answer{}, err
	}
	return nothing()
}

func (a *API) stopArea(c *call) (answer, error) {
	x, err := a.area(c, auth.Operate)
	if err != nil {
		return answer{}, err
	}
	q := c.query()
	waiting := q.flag("waiting", true)
	if err := q.err(); err != nil {
		return answer{}, err
	}
	out, err := a.Orders.StopArea(c.Context(), x.ID, waiting)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// mostProof is how far back a proof can be asked for; the record itself may be
// shorter.
const mostProof = 366 * 24 * time.Hour

func (a *API) getProof(c *call) (answer, error) {
	x, err := a.area(c, auth.Read)
	if err != nil {
		return answer{}, err
	}
	q := c.query()
	since := q.duration("since", time.Second, mostProof, 24*time.Hour)
	if err := q.err(); err != nil {
		return answer{}, err
	}
	v, err := a.Proofs.Check(x.ID, a.cfg.Now().Add(-since))
	if err != nil {
		return answer{}, err
	}
	if x.Leader != nil {
		v.Owed = x.Leader.Owes
	}
	return ok(v)
}

func (a *API) getKey(c *call) (answer, error) { return a.areaKey(c, a.Keys.Key) }

func (a *API) rotateKey(c *call) (answer, error) { return a.areaKey(c, a.Keys.Rotate) }

func (a *API) areaKey(c *call, get func(context.Context, area.Name) ([]byte, error)) (answer, error) {
	x, err := a.area(c, auth.Operate)
	if err != nil {
		return answer{}, err
	}
	key, err := get(c.Context(), x.ID)
	if err != nil {
		return answer{}, err
	}
	return ok(struct {
		Area area.Name `json:"area"`
		Key  []byte    `json:"key"`
	}{x.ID, key})
}

func (a *API) stopAll(c *call) (answer, error) {
	q := c.query()
	waiting := q.flag("waiting", true)
	if err := q.err(); err != nil {
		return answer{}, err
	}
	if err := c.may(auth.Operate, ""); err != nil {
		return answer{}, err
	}
	if c.foreign() { // all of his tenant is nothing
		return ok(order.Stopped{Stopped: []area.WorkID{}, Cancelled: []area.WorkID{}})
	}
	out, err := a.Orders.StopAll(c.Context(), waiting)
	if err != nil {
		return answer{}, err
	}
	return ok(out)
}

// areaBody is the body of a new area: the writable keys of an area.
type areaBody struct {
	ID         *string        `json:"id"`
	Name       *string        `json:"name"`
	Mode       string         `json:"mode"`
	Topology   string         `json:"topology"`
	LeaseMs    *int64         `json:"lease_ms"`
	Policy     string         `json:"policy"`
	Volume     *int           `json:"volume"`
	QuietHours []string       `json:"quiet_hours"`
	Locations  []locationBody `json:"locations"`
}

type locationBody struct {
	ID     string          `json:"id"`
	Name   string          `json:"name"`
	Device json.RawMessage `json:"device"` // the hub writes it; ignored
}

func (a *API) createArea(c *call) (answer, error) {
	var b areaBody
	if err := c.decode(&b); err != nil {
		return answer{}, err
	}
	n, err := b.area()
	if err != nil {
		return answer{}, err
	}
	if err := cmp.Or(c.home(), c.may(auth.Operate, n.ID)); err != nil {
		return answer{}, err
	}
	x, err := a.Areas.CreateArea(c.Context(), n)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, body: x, location: "/areas/" + string(x.ID)}, nil
}

var quiet = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$`)

// area checks the body; the error has every fault.
func (b areaBody) area() (NewArea, error) {
	var bad []area.FieldError
	fault := func(field, message string) { bad = append(bad, area.FieldError{Field: field, Message: message}) }
	among := func(field, v string, words ...string) {
		for _, w := range words {
			if v == w || v == "" {
				return
			}
		}
		fault(field, "not one of its words")
	}
	n := NewArea{Mode: b.Mode, Topology: b.Topology, Policy: b.Policy, Volume: b.Volume, QuietHours: b.QuietHours}
	n.ID, n.Name = b.names(fault)
	among("mode", b.Mode, "available", "strict")
	among("topology", b.Topology, "auto", "direct", "local")
	among("policy", b.Policy, "stop", "finish")
	if b.LeaseMs != nil {
		if *b.LeaseMs < 1000 || *b.LeaseMs > 600_000 {
			fault("lease_ms", "not 1000 to 600000")
		}
		n.Lease = time.Duration(*b.LeaseMs) * time.Millisecond
	}
	if b.Volume != nil && (*b.Volume < 0 || *b.Volume > 100) {
		fault("volume", "not 0 to 100")
	}
	for i, h := range b.QuietHours {
		if !quiet.MatchString(h) {
			fault("quiet_hours."+strconv.Itoa(i), "not such as 23:00-05:30")
		}
	}
	seen := map[string]bool{}
	for i, l := range b.Locations {
		field := "locations." + strconv.Itoa(i)
		if !area.IsID(l.ID) || seen[l.ID] {
			fault(field+".id", "not 1 to 64 of A-Z a-z 0-9 _ -, each once")
		}
		if l.Name != "" && !isName(l.Name) {
			fault(field+".name", noName)
		}
		seen[l.ID] = true
		n.Locations = append(n.Locations, NewLocation{ID: area.LocationID(l.ID), Name: l.Name})
	}
	return n, invalid(bad)
}

// names is the id and the name; either makes the other.
func (b areaBody) names(fault func(field, message string)) (id area.Name, name string) {
	if b.Name != nil {
		if name = *b.Name; !isName(name) {
			fault("name", noName)
		}
		id, _ = area.Slug(name)
	}
	if b.ID != nil {
		id = area.Name(*b.ID)
	}
	switch {
	case b.ID == nil && b.Name == nil:
		fault("id", "an id or a name is needed")
	case !area.IsID(string(id)):
		fault("id", "not 1 to 64 of A-Z a-z 0-9 _ -")
	case id == area.Unassigned:
		fault("id", "reserved")
	}
	if name == "" {
		name = string(id)
	}
	return id, name
}

const noName = "not 1 to 128 bytes of UTF-8 without control characters"

// isName tells whether s can be the name of a thing that people read.
func isName(s string) bool {
	_, err := area.ParseSensorID(s) // the same bounds
	return err == nil
}
