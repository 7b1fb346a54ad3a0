package devicehub

import (
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// caller is who calls.
func (h *Hub) caller(c *signalr.Call) auth.Principal { return h.Who(c.Conn()) }

// foreign tells whether somebody is of another tenant than the one whose areas
// are served here. He finds none of them.
func foreign(p auth.Principal) bool { return p.Tenant != auth.DefaultTenant }

// may refuses who may not do something in an area; for another tenant there is
// no such area.
func may(p auth.Principal, do auth.Action, in area.Name) error {
	if foreign(p) {
		return area.Errorf(area.CodeUnknownArea, "no area %s", in)
	}
	return p.May(do, in)
}

// anyArea is no id of an area: who may do something there may do it in all.
const anyArea = area.Name(auth.AllAreas)

// sees tells whether somebody is shown what is in an area.
func sees(p auth.Principal, in area.Name) bool { return may(p, auth.Read, in) == nil }

// seen is the areas of a list that somebody is shown; never nil.
func seen(p auth.Principal, all []area.Area) []area.Area {
	return slices.DeleteFunc(append([]area.Area{}, all...), func(a area.Area) bool { return !sees(p, a.ID) })
}

// mayRegister refuses who may not be the device, or be it in that area: a device
// is itself alone, and in its own area; who runs an area may speak for any
// device in it, as a program does that serves several.
func (h *Hub) mayRegister(p auth.Principal, d area.DeviceID, in string) error {
	name, err := h.Roster.Find(in)
	switch {
	case err == nil:
	case area.IsID(in): // registering makes it
		name = area.Name(in)
	default:
		if name, _ = area.Slug(in); name == "" {
			return err
		}
	}
	if p.Kind != auth.KindDevice {
		return may(p, auth.Operate, name)
	}
	switch {
	case foreign(p):
		return may(p, auth.Operate, name)
	case area.DeviceID(p.Name) != d:
		return area.Errorf(area.CodeForbidden, "%s is not device %s", p.Name, d)
	case p.Area != name:
		return area.Errorf(area.CodeForbidden, "device %s is not of area %s", d, name)
	}
	return nil
}

// room is the group of the library that stands for a group of somebody's tenant.
// No name of a group has the characters in front.
func room(p auth.Principal, g area.Group) string { return auth.Mountpoint(p.Tenant) + string(g) }

// The groups in which the hub itself speaks of what not everybody may know: of
// every topic, and of what an operator has to know, such as who was refused.
const (
	topicsGroup = "topics"
	alertsGroup = "alerts"
)

// MayJoin is a group whose events somebody may hear, and whose members he may
// see. Its error is an [area.Error] of code invalid, unknown_area or forbidden.
func (h *Hub) MayJoin(p auth.Principal, name string) (area.Group, error) {
	g, err := area.ParseGroup(name)
	if err != nil {
		return "", err
	}
	kind, of, _ := strings.Cut(name, ":")
	switch {
	case g == topicsGroup && !foreign(p):
		return g, p.May(auth.Read, anyArea)
	case g == alertsGroup && !foreign(p):
		return g, p.May(auth.Operate, anyArea)
	case !g.Reserved():
		return g, p.May(auth.Read, "")
	case kind == "area":
		return g, h.inArea(p, of, auth.Read)
	case p.Kind == auth.KindAnonymous:
	case kind == "user" && of == p.Name, kind == "role" && slices.Contains(p.Roles, of), kind == "tenant" && of == p.Tenant:
		return g, nil
	}
	return "", area.Errorf(area.CodeForbidden, "group %s is the hub's own", g)
}

// MaySend is a group to which somebody may send. Its error is as of
// [Hub.MayJoin].
func (h *Hub) MaySend(p auth.Principal, name string) (area.Group, error) {
	g, err := area.ParseGroup(name)
	if err != nil {
		return "", err
	}
	kind, of, _ := strings.Cut(name, ":")
	switch {
	case g == alertsGroup:
		return g, p.May(auth.Operate, "")
	case !g.Reserved():
		return g, speaks(p)
	case kind == "area" && p.Kind == auth.KindDevice:
		return g, h.inArea(p, of, auth.Read) // its own
	case kind == "area":
		return g, h.inArea(p, of, auth.Announce)
	case p.Kind == auth.KindAnonymous:
	case kind == "user", kind == "role", kind == "tenant" && of == p.Tenant:
		return g, p.May(auth.Operate, "")
	}
	return "", area.Errorf(area.CodeForbidden, "group %s is the hub's own", g)
}

// speaks refuses who may only look: to send to a group that is nobody's takes
// the right to announce somewhere, or a device.
func speaks(p auth.Principal) error {
	if p.Kind == auth.KindDevice || p.May(auth.Announce, "") == nil {
		return nil
	}
	if slices.ContainsFunc(p.Areas, func(in string) bool { return p.May(auth.Announce, area.Name(in)) == nil }) {
		return nil
	}
	return p.May(auth.Announce, "")
}

func (h *Hub) inArea(p auth.Principal, text string, do auth.Action) error {
	name, err := h.Roster.Find(text)
	if err != nil {
		return err
	}
	return may(p, do, name)
}

// userGroup is the group of a user's connections. Its name may be one that no client can
// say; then what is sent to the user still goes there.
func userGroup(name string) area.Group { return area.Group("user:" + name) }

// tenantGroup is the group of a tenant's connections, as [userGroup] is.
func tenantGroup(name string) area.Group { return area.Group("tenant:" + name) }

// enter makes a connection a member of the groups that the hub keeps: its
// user's, its roles' and its tenant's. In open mode nobody is anybody.
func (h *Hub) enter(c *signalr.Conn) {
	p := h.Who(c)
	if p.Kind == auth.KindAnonymous || p.Name == "" {
		return
	}
	own := room(p, userGroup(p.Name))
	rooms := []string{room(p, tenantGroup(p.Tenant))}
	for _, r := range p.Roles {
		if g, err := area.ParseGroup("role:" + r); err == nil { // a name that no group can have has none
			rooms = append(rooms, room(p, g))
		}
	}
	defer h.Server.Listen(c.Context(), append(rooms, own)...)()
	for _, name := range rooms {
		_, _ = c.Join(name) // an error means that the connection is ending, or is in as many as it may
	}
	h.enterOwn(c, own)
}
