package hubd

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/homeassistant"
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/broker/order"
	"github.com/tacet-hub/tacet/drivers/media"
)

// makeShown shows the site to Home Assistant, where the configuration wants it.
func (h *Hub) makeShown() (err error) {
	if !h.cfg.HomeAssistant.Enabled {
		return nil
	}
	h.shown, err = homeassistant.New(homeassistant.Config{Prefix: h.cfg.HomeAssistant.Prefix, Version: h.opt.Version}, homeassistant.Parts{
		Bus: h.bus, Site: shownSite{h}, Orders: shownOrders{h}, Chimes: chimes{h}, Who: h.asks,
		Mine: h.speaks, Changes: h.sayChanges,
	}, h.log)
	return err
}

// runShown shows the site until ctx ends.
func (h *Hub) runShown(ctx context.Context) error {
	if h.shown == nil {
		<-ctx.Done()
		return nil
	}
	return h.shown.Run(ctx)
}

// shownSite is the site as the view has it. That it has changed the view says, too: the
// roster may tell us before it tells the view, and what was looked at then would stay.
type shownSite struct{ h *Hub }

func (s shownSite) Areas() []area.Area {
	s.h.view.CatchUp()
	return s.h.view.Areas()
}

func (s shownSite) Players() []area.Device {
	return s.h.view.Devices(bridge.DeviceFilter{Kind: "player"})
}

func (s shownSite) Watch(changed func()) (cancel func()) { return s.h.view.Watch(changed) }

// shownOrders is the order service.
type shownOrders struct{ h *Hub }

func (o shownOrders) Announce(ctx context.Context, r area.OrderRequest, by order.By) error {
	_, err := o.h.orders.Accept(ctx, r, by)
	return err
}

func (o shownOrders) Cancel(ctx context.Context, id area.WorkID) error {
	_, err := o.h.orders.Cancel(ctx, id)
	return err
}

func (o shownOrders) StopArea(ctx context.Context, a area.Name) error {
	_, err := stopper{o.h.orders, o.h}.StopArea(ctx, a, true)
	return err
}

func (o shownOrders) Watch(enqueue func(area.Order)) (cancel func()) {
	return o.h.orders.Watch(enqueue)
}

// chimes are the chimes as sounds of their own.
type chimes struct{ h *Hub }

// Names lists those that sound.
func (chimes) Names() []string { return media.Chimes()[1:] }

// Length is how long a chime sounds; 0: there is none of that name.
func (chimes) Length(name string) time.Duration {
	d, err := media.ChimeLength(name)
	if err != nil {
		return 0
	}
	return d
}

// Clip keeps a chime as a clip and answers its name.
func (c chimes) Clip(ctx context.Context, name string) (string, error) {
	sound, err := media.Chime(name)
	if err != nil || len(sound) == 0 {
		return "", errors.Join(area.Errorf(area.CodeInvalid, "there is no chime %.40q", name), err)
	}
	info, _, err := sharedClips{c.h.clips, c.h}.Put(ctx, bytes.NewReader(media.EncodeWAV(sound)), clip.About{Name: "chime " + name})
	if err != nil {
		return "", err
	}
	return info.Sum.String(), nil
}
