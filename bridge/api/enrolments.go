package api

import (
	"cmp"
	"net/http"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

var enrolmentRoutes = []route{
	{http.MethodGet, "/credentials", auth.Operate, (*API).listCredentials},
	{http.MethodPost, "/enrolments", auth.Operate, (*API).createEnrolment},
	{http.MethodPost, "/enrolments/{code}", 0, (*API).redeem},
	{http.MethodDelete, "/devices/{device}/credential", auth.Operate, (*API).revokeDevice},
}

// enrolment is a code for one device.
type enrolment struct {
	Code      string        `json:"code"`
	Device    area.DeviceID `json:"device"`
	Area      area.Name     `json:"area"`
	ExpiresAt area.Time     `json:"expires_at"`
	Replaced  bool          `json:"replaced"` // a code that waited for the device is no longer good
	Publish   []string      `json:"publish"`
	Subscribe []string      `json:"subscribe"`
}

// createEnrolment makes a code. What a device may do beside its own branch is
// for who may do everything to give: an operator would give what he has not.
func (a *API) createEnrolment(c *call) (answer, error) {
	var b struct {
		Device    area.DeviceID `json:"device"`
		Area      area.Name     `json:"area"`
		Publish   []string      `json:"publish"`
		Subscribe []string      `json:"subscribe"`
	}
	if err := c.decode(&b); err != nil {
		return answer{}, err
	}
	switch {
	case !area.IsID(string(b.Device)):
		return answer{}, area.InvalidField("device", "not 1 to 64 of A-Z a-z 0-9 _ -")
	case !area.IsID(string(b.Area)):
		return answer{}, area.InvalidField("area", "not 1 to 64 of A-Z a-z 0-9 _ -")
	}
	if err := cmp.Or(c.may(auth.Operate, b.Area), a.mayRevoke(c, b.Device)); err != nil {
		return answer{}, err // a device that is enrolled again loses the credential that it has
	}
	if len(b.Publish)+len(b.Subscribe) > 0 {
		if err := c.may(auth.Admin, ""); err != nil {
			return answer{}, err
		}
	}
	e := auth.Enrolment{Device: b.Device, Area: b.Area, Tenant: c.who.Tenant, By: c.caller(), Publish: b.Publish, Subscribe: b.Subscribe}
	code, err := a.Credentials.Enrol(c.Context(), e)
	if err != nil {
		return answer{}, err
	}
	a.count.enrolments.Add(1)
	a.log.Info("enrolment made", "conn", c.RemoteAddr, "device", string(b.Device), "who", c.caller())
	out := enrolment{Code: code.Text, Device: b.Device, Area: b.Area, ExpiresAt: area.At(code.Expires), Replaced: code.Replaced,
		Publish: append([]string{}, b.Publish...), Subscribe: append([]string{}, b.Subscribe...)}
	return answer{status: http.StatusCreated, body: out, location: "/enrolments/" + code.Text}, nil
}

// mayRevoke looks whether the caller runs the areas that a device's credential,
// and the codes that wait for it, are for. A device that has neither is nobody's.
func (a *API) mayRevoke(c *call, d area.DeviceID) error {
	for _, e := range a.Credentials.Devices(c.who.Tenant) {
		if e.Device == d {
			if err := c.may(auth.Operate, e.Area); err != nil {
				return err
			}
		}
	}
	for _, e := range a.Credentials.Waiting(c.who.Tenant) {
		if e.Device == d {
			if err := c.may(auth.Operate, e.Area); err != nil {
				return err
			}
		}
	}
	return nil
}

// credential is what a device gets for its code.
type credential struct {
	Device area.DeviceID `json:"device"` // also its user name and client id
	Secret string        `json:"secret"`
	Area   area.Name     `json:"area"`
	Tenant string        `json:"tenant"`
	MQTT   string        `json:"mqtt"`
	MQTTS  *string       `json:"mqtts"`
}

// redeem trades a code for the device's credential. Who has the code need not
// say who he is.
func (a *API) redeem(c *call) (answer, error) {
	got, err := a.Credentials.Redeem(c.Context(), c.RemoteAddr, c.PathValue("code"))
	if err != nil {
		if area.CodeOf(err) == area.CodeNotFound {
			a.log.Warn("enrolment refused", "conn", c.RemoteAddr, "err", err)
		}
		return answer{}, err
	}
	a.count.redeemed.Add(1)
	a.log.Info("enrolment redeemed", "conn", c.RemoteAddr, "device", string(got.Device))
	out := credential{Device: got.Device, Secret: got.Secret, Area: got.Area, Tenant: got.Tenant}
	out.MQTT, out.MQTTS = a.cfg.MQTT(c.Request)
	return ok(out)
}

func (a *API) revokeDevice(c *call) (answer, error) {
	d := area.DeviceID(c.PathValue("device"))
	if err := a.mayRevoke(c, d); err != nil {
		return answer{}, err
	}
	if err := a.Credentials.Revoke(c.Context(), c.who.Tenant, d); err != nil {
		return answer{}, err
	}
	a.count.revoked.Add(1)
	a.log.Info("credential revoked", "conn", c.RemoteAddr, "device", string(d), "who", c.caller())
	return nothing()
}
