package api

import (
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// admit finds out who asks, and refuses who has the right to what he wants
// nowhere at all. Where he has it each verb looks itself: it gets its objects
// from [API.area], [API.device] and their like, which take the action.
func (a *API) admit(c *call, needs auth.Action) (err error) {
	if needs == 0 {
		return nil
	}
	if p, ok := c.Context().Value(deskCaller{}).(auth.Principal); ok {
		c.who = p
	} else if c.who, err = a.cfg.Who(c.Request); err != nil {
		return err
	}
	if c.may(needs, "") == nil || c.may(needs, c.who.Area) == nil {
		return nil
	}
	if slices.ContainsFunc(c.who.Areas, func(in string) bool { return c.may(needs, area.Name(in)) == nil }) {
		return nil
	}
	return c.may(needs, "")
}

// caller is the name of who asks, for records, and for what is kept for each
// caller: unique over tenants and kinds.
func (c *call) caller() string {
	name := c.who.Name
	if c.who.Kind == auth.KindDevice || c.who.Kind == auth.KindToken {
		name = string(c.who.Kind) + ":" + name
	}
	if c.foreign() {
		name = c.who.Tenant + "/" + name
	}
	return name
}

// may refuses, with code forbidden, who may not do something in an area; the
// empty area stands for what belongs to none.
func (c *call) may(do auth.Action, in area.Name) error { return c.who.May(do, in) }

// foreign tells whether the caller is of another tenant than the one whose
// things are served here. He finds nothing.
func (c *call) foreign() bool { return c.who.Tenant != auth.DefaultTenant }

// sees tells whether the caller is shown what is in an area.
func (c *call) sees(in area.Name) bool { return !c.foreign() && c.may(auth.Read, in) == nil }

// anyArea is no id of an area: who may do something there may do it in all.
const anyArea = area.Name(auth.AllAreas)

// areas are those of which the caller sees what is in them; nil: all.
func (c *call) areas() []area.Name {
	if c.sees(anyArea) {
		return nil
	}
	seen := []area.Name{}
	for _, in := range append(slices.Clone(c.who.Areas), string(c.who.Area)) {
		if a := area.Name(in); a != "" && c.sees(a) {
			seen = append(seen, a)
		}
	}
	return seen
}

// shown is the things of a list that the caller sees.
func shown[T any](c *call, all []T, in func(*T) area.Name) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return !c.sees(in(&x)) })
}

// home refuses who is of another tenant: nothing can be made there yet.
func (c *call) home() error {
	if c.foreign() {
		return area.Errorf(area.CodeForbidden, "this version keeps nothing for tenant %s", c.who.Tenant)
	}
	return nil
}

// topics is what the caller may do on topics: what he may over MQTT. Those of
// another tenant are not served here.
type topics struct {
	all, none bool
	*auth.Access
}

func (c *call) topics() topics {
	if c.foreign() {
		return topics{none: true}
	}
	return topics{all: c.who.Kind == auth.KindAnonymous, Access: c.who.Access()}
}

func (t topics) read(topic string) bool { return t.all || !t.none && t.MayRead(topic) }

func (t topics) write(topic string) bool { return t.all || !t.none && t.MayPublish(topic) }

// HostOf is the host that a request was sent to, without a port; an IPv6 address
// is in brackets.
func HostOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		return r.Host
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}
