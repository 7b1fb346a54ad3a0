package api

import (
	"net/http"
	"slices"

	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var deviceRoutes = []route{
	{http.MethodGet, "/devices", auth.Read, (*API).listDevices},
	{http.MethodGet, "/devices/{device}", auth.Read, (*API).getDevice},
	{http.MethodPut, "/devices/{device}", auth.Operate, (*API).assignDevice},
	{http.MethodDelete, "/devices/{device}", auth.Operate, (*API).removeDevice},
	{http.MethodGet, "/sensors", auth.Read, (*API).listSensors},
}

func (a *API) listDevices(c *call) (answer, error) {
	q := c.query()
	kind := q.text("kind")
	if kind != "" && kind != "player" && kind != "sensor" {
		q.fault("kind", "neither player nor sensor")
	}
	return a.pageDevices(c, q, kind)
}

func (a *API) listSensors(c *call) (answer, error) {
	return a.pageDevices(c, c.query(), "sensor")
}

func (a *API) pageDevices(c *call, q *query, kind string) (answer, error) {
	in, presence := area.Name(q.id("area")), area.Presence(q.text("presence"))
	switch presence {
	case "", area.Online, area.Offline, area.Asleep, area.PresenceUnknown:
	default:
		q.fault("presence", "none of online, offline, asleep, unknown")
	}
	if err := q.err(); err != nil {
		return answer{}, err
	}
	all := slices.DeleteFunc(slices.Clone(a.Devices.Devices()), func(d area.Device) bool {
		return !c.sees(d.Area) || kind != "" && d.Kind != kind || in != "" && d.Area != in || presence != "" && d.Presence != presence
	})
	return page(c, all, func(d *area.Device) string { return string(d.ID) })
}

func (a *API) getDevice(c *call) (answer, error) {
	id := c.PathValue("device")
	d, found := a.Devices.Device(area.DeviceID(id))
	if !found || c.foreign() {
		return answer{}, area.Errorf(area.CodeNotFound, "no device %.80q", id)
	}
	if err := c.may(auth.Read, d.Area); err != nil {
		return answer{}, err
	}
	return ok(d)
}

func (a *API) assignDevice(c *call) (answer, error) {
	id, err := area.ParseSensorID(c.PathValue("device"))
	if err != nil {
		return answer{}, area.Errorf(area.CodeNotFound, "%.80q is no id of a device", c.PathValue("device"))
	}
	now, known := a.Devices.Device(id)
	if c.foreign() {
		return answer{}, area.Errorf(area.CodeNotFound, "no device %.80q", id)
	}
	if err := c.may(auth.Operate, now.Area); err != nil {
		return answer{}, err
	}
	if len(c.Header.Values("If-Match")) > 0 && !known {
		return answer{}, area.Errorf(area.CodeVersionConflict, "there is no such device")
	}
	if err := c.unchanged(now); err != nil {
		return answer{}, err
	}
	var as registry.Assignment
	if err := c.decode(&as); err != nil {
		return answer{}, err
	}
	if err := checkAssignment(as); err != nil {
		return answer{}, err
	}
	if err := a.mayMove(c, as); err != nil {
		return answer{}, err
	}
	d, err := a.Devices.Assign(c.Context(), id, as)
	if err != nil {
		return answer{}, err
	}
	return ok(d)
}

func (a *API) removeDevice(c *call) (answer, error) {
	id := area.DeviceID(c.PathValue("device"))
	now, known := a.Devices.Device(id)
	if !known || c.foreign() {
		return answer{}, area.Errorf(area.CodeNotFound, "no device %.80q", c.PathValue("device"))
	}
	if err := c.may(auth.Operate, now.Area); err != nil {
		return answer{}, err
	}
	if err := c.unchanged(now); err != nil {
		return answer{}, err
	}
	if err := a.Devices.Remove(c.Context(), id); err != nil {
		return answer{}, err
	}
	a.log.Info("device removed", "device", id, "who", c.caller())
	return nothing()
}

// mayMove looks whether the caller runs where a device is to be.
func (a *API) mayMove(c *call, as registry.Assignment) error {
	if as.Area != nil {
		if err := c.may(auth.Operate, *as.Area); err != nil {
			return err
		}
	}
	if as.Location != nil {
		at := string(*as.Location)
		if in, err := a.Orders.Where(area.To{Location: &at}); err == nil {
			return c.may(auth.Operate, in)
		}
	}
	return nil
}

func checkAssignment(as registry.Assignment) error {
	var bad []area.FieldError
	if as.Area != nil && !isName(string(*as.Area)) {
		bad = append(bad, area.FieldError{Field: "area", Message: "neither an id nor a name"})
	}
	if as.Location != nil && !area.IsID(string(*as.Location)) {
		bad = append(bad, area.FieldError{Field: "location", Message: "not 1 to 64 of A-Z a-z 0-9 _ -"})
	}
	if as.Name != nil && !isName(*as.Name) {
		bad = append(bad, area.FieldError{Field: "name", Message: noName})
	}
	return invalid(bad)
}
