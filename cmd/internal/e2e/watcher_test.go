package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
	"github.com/tacet-hub/tacet/broker/area"
)

// told is an event of the hub.
type told struct {
	event string
	args  []json.RawMessage
}

func (e told) String() string {
	parts := make([]string, len(e.args))
	for i, a := range e.args {
		parts[i] = string(a)
	}
	return e.event + "(" + strings.Join(parts, ", ") + ")"
}

// read reads the first argument.
func (e told) read(into any) bool {
	return len(e.args) > 0 && json.Unmarshal(e.args[0], into) == nil
}

// watcher is a connection to the hub that keeps every event.
type watcher struct {
	*signalrtest.Client
	t    *testing.T
	told *journal[told]
}

var events = strings.Fields(`AreaChanged DeviceChanged OrderChanged Reading Topic ReceiveMetric ReceiveWork ReceiveWorkStatus
	ConnectionAcknowledged Alarm Barrier`)

// connect opens a connection that keeps every event.
func (h *hub) connect() *watcher {
	h.t.Helper()
	w := &watcher{t: h.t, told: newJournal[told]()}
	on := map[string]func([]json.RawMessage){}
	for _, name := range events {
		on[name] = func(args []json.RawMessage) { w.told.add(told{name, args}) }
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	c, err := signalrtest.Dial(ctx, h.ready.HTTP+"/hubs/devices", signalrtest.Options{On: on})
	if err != nil {
		h.t.Fatal(err)
	}
	w.Client = c
	h.t.Cleanup(func() { _ = c.Close() })
	return w
}

// watch is a connection that watches every area.
func (h *hub) watch() *watcher {
	h.t.Helper()
	w := h.connect()
	w.call("JoinArea", "*")
	w.call("JoinGroup", "barrier")
	return w
}

// barrier returns when the hub has taken everything that s published before,
// and the watcher was told all that came of it.
func (w *watcher) barrier(s *sender) {
	w.t.Helper()
	mark := w.told.mark()
	s.publish("barrier", "x")
	w.told.await(w.t, mark, "barrier", func(e told) bool { return e.event == "Barrier" })
}

// call invokes a hub method, which must succeed.
func (w *watcher) call(method string, args ...any) json.RawMessage {
	w.t.Helper()
	v, err := w.invoke(method, args...)
	if err != nil {
		w.t.Fatalf("%s%v: %v", method, args, err)
	}
	return v
}

func (w *watcher) invoke(method string, args ...any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return w.Invoke(ctx, method, args...)
}

// await waits for an event that fits.
func (w *watcher) await(what string, fits func(told) bool) told {
	w.t.Helper()
	e, _ := w.told.await(w.t, 0, what, fits)
	return e
}

// reading waits for the next reading since a position.
func (w *watcher) reading(mark int, fits func(area.Reading) bool) (r area.Reading, after int) {
	w.t.Helper()
	_, after = w.told.await(w.t, mark, "reading", func(e told) bool {
		r = area.Reading{}
		return e.event == "Reading" && e.read(&r) && fits(r)
	})
	return r, after
}

// order waits until an order stands so.
func (w *watcher) order(id area.WorkID, fits func(area.Order) bool) (o area.Order) {
	w.t.Helper()
	w.await(fmt.Sprintf("order %s", id), func(e told) bool {
		o = area.Order{}
		return e.event == "OrderChanged" && e.read(&o) && o.ID == id && fits(o)
	})
	return o
}

// ended waits for the end of an order.
func (w *watcher) ended(id area.WorkID) area.Order {
	w.t.Helper()
	return w.order(id, func(o area.Order) bool { return o.State.Ended() })
}

// busy waits until an area's public state fits, looking at what came since a
// position.
func (w *watcher) busy(mark int, name area.Name, fits func(area.Busy) bool) (b area.Busy, after int) {
	w.t.Helper()
	_, after = w.told.await(w.t, mark, "state of area "+string(name), func(e told) bool {
		var d area.Delta
		if e.event != "AreaChanged" || !e.read(&d) || d.Area == nil || *d.Area != name || d.Set["busy"] == nil {
			return false
		}
		got, err := area.ParseBusy(d.Set["busy"])
		b = got
		return err == nil && fits(got)
	})
	return b, after
}

// device waits until a device is shown with this key and value.
func (w *watcher) device(id area.DeviceID, key, value string) {
	w.t.Helper()
	w.await(fmt.Sprintf("%s %s of device %s", key, value, id), func(e told) bool {
		var d area.Delta
		return e.event == "DeviceChanged" && e.read(&d) && d.Device != nil && *d.Device == id && string(d.Set[key]) == value
	})
}
