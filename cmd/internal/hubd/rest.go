package hubd

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/api"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/registry"
	"github.com/tacet-hub/tacet/broker/arbiter"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
	"github.com/tacet-hub/tacet/broker/order"
)

// areas are the areas of REST: shown as the view has them, kept by the roster.
// Reading catches up first: who has heard of a thing finds it.
type areas struct{ h *Hub }

func (a areas) Areas() []area.Area {
	a.h.view.CatchUp()
	return a.h.view.Areas()
}

func (a areas) Area(name area.Name) (area.Area, bool) {
	a.h.view.CatchUp()
	return a.h.view.Area(name)
}

func (a areas) CreateArea(ctx context.Context, n api.NewArea) (area.Area, error) {
	made, err := a.keep(ctx, n, a.h.roster.Create)
	if code := area.CodeOf(err); code == area.CodeDiskFull || code == area.CodeInternal {
		err = errors.Join(err, a.h.roster.Remove(n.ID)) // it would be gone after a restart
	}
	return made, err
}

// UpdateArea leaves a topology to be found out where that comes to the one that
// is asked for: what was read can be sent back.
func (a areas) UpdateArea(ctx context.Context, n api.NewArea) (area.Area, error) {
	if is, ok := a.h.roster.Settings(n.ID); ok && is.Topology == area.TopologyAuto && n.Topology == a.h.roster.Topology(n.ID) {
		n.Topology = area.TopologyAuto
	}
	return a.keep(ctx, n, a.h.roster.Update)
}

// keep hands an area to the roster, and answers what it has become once that is
// durable.
func (a areas) keep(ctx context.Context, n api.NewArea, roster func(arbiter.AreaConfig) error) (area.Area, error) {
	c := arbiter.AreaConfig{
		ID: n.ID, Name: n.Name, Source: area.SourceAPI, Mode: n.Mode, Topology: n.Topology, Policy: n.Policy,
		Lease: n.Lease, Volume: -1, QuietHours: n.QuietHours,
	}
	if n.Volume != nil {
		c.Volume = *n.Volume
	}
	for _, l := range n.Locations {
		c.Locations = append(c.Locations, arbiter.Place{ID: l.ID, Name: l.Name})
	}
	if err := roster(c); err != nil {
		return area.Area{}, err
	}
	if err := a.h.roster.Save(ctx, n.ID); err != nil {
		return area.Area{}, err
	}
	a.h.view.CatchUp()
	made, _ := a.h.view.Area(n.ID)
	return made, nil
}

func (a areas) RemoveArea(ctx context.Context, name area.Name) error {
	if err := a.h.roster.Remove(name); err != nil {
		return err
	}
	return a.h.roster.Save(ctx, name)
}

// devices are the devices of REST: players are the roster's, sensors the
// registry's.
type devices struct{ h *Hub }

func (d devices) Devices() []area.Device {
	d.h.view.CatchUp()
	return d.h.view.Devices(bridge.DeviceFilter{})
}

func (d devices) Device(id area.DeviceID) (area.Device, bool) {
	d.h.view.CatchUp()
	return d.h.view.Device(id)
}

func (d devices) Assign(_ context.Context, id area.DeviceID, as registry.Assignment) (area.Device, error) {
	if as.Area != nil && *as.Area != area.Unassigned {
		in, err := d.h.roster.Find(string(*as.Area))
		if err != nil {
			return area.Device{}, err
		}
		as.Area = &in
	}
	if err := d.assign(id, as); err != nil {
		return area.Device{}, err
	}
	d.h.view.CatchUp()
	shown, _ := d.h.view.Device(id)
	return shown, nil
}

// Remove forgets a device: on the roster or in the registry, and on its topics.
func (d devices) Remove(ctx context.Context, id area.DeviceID) error {
	if _, player := d.h.roster.Player(id); player {
		if err := d.h.roster.Forget(id); err != nil {
			return err
		}
	} else if _, err := d.h.registry.Assign(id, registry.Assignment{}); err != nil {
		return err
	}
	if err := d.h.registry.Remove(ctx, id); err != nil {
		return err
	}
	d.h.seen.Forget(sightedDevice(id))
	var batch []area.Message
	if area.IsID(string(id)) {
		for _, m := range d.h.bus.Retained(area.Root+"/device/"+string(id)+"/#", 0) {
			batch = append(batch, area.Message{Topic: m.Topic, QoS: 1, Retain: true, From: area.FromHub})
		}
	}
	if err := d.h.bus.Publish(ctx, batch...); err != nil {
		return err
	}
	d.h.view.CatchUp()
	return nil
}

func (d devices) assign(id area.DeviceID, as registry.Assignment) error {
	if _, ok := d.h.roster.Player(id); !ok {
		_, err := d.h.registry.Assign(id, as)
		return err
	}
	var in area.Name
	var at, name string
	if as.Area != nil {
		in = *as.Area
	}
	if as.Location != nil {
		at = string(*as.Location)
	}
	if as.Name != nil {
		name = *as.Name
	}
	return d.h.roster.Rename(id, in, at, name)
}

// members are the hub's connections of REST.
type members struct{ h *Hub }

func (m members) Members(who auth.Principal, g area.Group) ([]api.Member, error) {
	return m.Presence(who, "group:"+string(g))
}

func (m members) Presence(who auth.Principal, scope string) ([]api.Member, error) {
	list, err := m.h.devices.Presence(who, scope)
	out := make([]api.Member, 0, len(list))
	for _, c := range list {
		out = append(out, api.Member(c))
	}
	return out, err
}

func (m members) Close(ctx context.Context, who auth.Principal, connection string) error {
	return m.h.devices.Close(ctx, who, connection)
}

func (m members) SetMember(ctx context.Context, who auth.Principal, g area.Group, connection string, member bool) error {
	return m.h.devices.SetMember(ctx, who, connection, string(g), member)
}

// streams are the hub's streams: the pump sees what changes, the registry has the
// readings.
type streams struct{ h *Hub }

func (s streams) StreamTopics(ctx context.Context, filter string, perSecond int, send func(area.TopicValue) error) error {
	return s.h.pump.StreamTopics(ctx, filter, perSecond, send)
}

func (s streams) StreamReadings(ctx context.Context, perSecond int, fits func(area.Reading) bool, send func(area.Reading) error) error {
	return s.h.pump.StreamReadings(ctx, perSecond, fits, func() []area.Reading { return s.h.registry.Readings(registry.Filter{}) }, send)
}

func (s streams) StreamOrders(ctx context.Context, in *area.Name, fits func(area.Order) bool, send func(area.Order) error) error {
	return s.h.view.StreamOrders(ctx, fits, func() ([]area.Order, error) { return s.openOrders(in) }, send)
}

// openOrders lists the orders that have no end, the oldest first.
func (s streams) openOrders(in *area.Name) (list []area.Order, err error) {
	f := order.Filter{From: area.At(time.Now()), Limit: 1000}
	if in != nil {
		f.Area = *in
	}
	for {
		page, next, err := s.h.orders.List(f)
		if err != nil {
			return nil, err
		}
		list = append(list, page...)
		if f.After = next; next == "" {
			break
		}
	}
	list = slices.DeleteFunc(list, func(o area.Order) bool { return o.State.Ended() })
	slices.Reverse(list)
	return list, nil
}

// replayed tells whether an event of a group is kept for who comes back: all but
// what the group is sent anew all the time, and what the hub tells of its areas,
// which a snapshot has.
func replayed(group, event string) bool {
	if group[0] == '@' { // of another tenant
		_, group, _ = strings.Cut(group, "/")
	}
	switch {
	case group == bridge.GroupTopics, group == bridge.GroupMetrics, group == bridge.All:
		return false
	case strings.HasPrefix(group, "area:"):
		return !area.HubEvent(event)
	}
	return true
}

var _ devicehub.View = (*bridge.View)(nil)

// topics are the topics of REST: the bridge knows the newest value of each, the
// broker what it keeps.
type topics struct{ h *Hub }

func (t topics) Topics(ctx context.Context, filter string) (list []area.TopicValue, missing []string, err error) {
	return t.h.pump.Topics(ctx, filter)
}

func (t topics) Retained(filter string, most int) []area.Message {
	return t.h.bus.Retained(filter, most)
}

func (t topics) Publish(ctx context.Context, batch ...area.Message) error {
	return t.h.bus.Publish(ctx, batch...)
}
