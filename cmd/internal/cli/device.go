package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
)

// deviceShow prints what a device says of itself.
func deviceShow(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: "show DEVICE", Short: "Show what a device says of itself: version, last start, sound, pins, clock, faults", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		d, _, err := get[area.Device](c.Context(), hub, "/devices/"+url.PathEscape(args[0]))
		if err != nil {
			return err
		}
		s, body, err := statusOf(c.Context(), hub, d.ID)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		return shown(d, s).print(c.OutOrStdout())
	}}
	f.register(c)
	return c
}

// statusOf is a device's own status, which the broker retains; the zero status
// where it has said none.
func statusOf(ctx context.Context, hub *client, d area.DeviceID) (s area.Status, body []byte, err error) {
	type topics struct {
		Items []struct {
			Payload json.RawMessage `json:"payload"`
		} `json:"items"`
	}
	found, _, err := get[topics](ctx, hub, "/topics?"+url.Values{"filter": {area.StatusTopic(d)}}.Encode())
	if err != nil || len(found.Items) == 0 {
		return s, []byte("null\n"), err
	}
	payload := found.Items[0].Payload
	s, err = area.ParseStatus(payload)
	return s, append(payload, '\n'), err
}

// shown is a device as a table of keys and values.
func shown(d area.Device, s area.Status) table {
	t := table{{"KEY", "VALUE"}}
	for _, line := range [][2]string{
		{"id", string(d.ID)}, {"name", d.Name}, {"area", string(d.Area)}, {"location", text(d.Location)}, {"presence", string(d.Presence)}, {"state", text(d.State)},
		{"volume", text(d.Volume)}, {"muted", strconv.FormatBool(d.Muted)}, {"start", strconv.FormatUint(d.Boot, 10)}, {"version", s.Version}, {"audio", s.Audio},
	} {
		t.row(line[0], line[1])
	}
	if h := s.Health; h != nil {
		healthy(&t, h)
	}
	return t
}

func healthy(t *table, h *area.Health) {
	for _, line := range [][2]string{
		{"started by", h.BootReason}, {"safe mode", strconv.FormatBool(h.SafeMode)}, {"clock", h.Clock}, {"told after", (time.Duration(h.UptimeS) * time.Second).String()},
		{"audio device", h.AudioDevice}, {"xruns", strconv.FormatUint(h.Xruns, 10)}, {"temperature", text(h.TemperatureC)}, {"under-voltage", text(h.UnderVoltage)},
		{"last error", text(h.LastError)},
	} {
		t.row(line[0], line[1])
	}
	for _, m := range []struct {
		name string
		of   map[string]string
	}{{"pin", h.Pins}, {"fault", h.Faults}} {
		var keys []string
		for k := range m.of {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			t.row(m.name+" "+k, strings.ReplaceAll(m.of[k], "\n", "; "))
		}
	}
}

func deviceIdentify(env Env) *cobra.Command {
	return deviceCommand(env, "identify", "Have a device blink, and chirp when its area is free")
}

func deviceRestart(env Env) *cobra.Command {
	c := deviceCommand(env, "restart", "Have a device's program start again, out of safe mode")
	c.Long = `Has a device's program end, with exit code 75, so that whoever supervises it starts
it again: systemd, or the device's own PID 1. It is out of safe mode then. A device
that nobody supervises, such as one that was started by hand, ends and stays away.`
	return c
}

// deviceCommand tells a device to do something. What is told to a device that is
// not there would be lost, so that is an error.
func deviceCommand(env Env, name, short string) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: name + " DEVICE", Short: short, Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		d, _, err := get[area.Device](c.Context(), hub, "/devices/"+url.PathEscape(args[0]))
		switch {
		case err != nil:
			return err
		case d.Via != area.ViaMQTT || d.Kind != "player":
			return &Error{Exit: ExitFailed, Code: "no_commands", Detail: fmt.Sprintf("%s is no device that takes commands", d.ID)}
		case d.Presence != area.Online:
			return &Error{Exit: ExitFailed, Code: "offline", Detail: fmt.Sprintf("%s is %s", d.ID, d.Presence)}
		}
		topic := area.Root + "/device/" + string(d.ID) + "/cmd/" + name
		body, err := hub.do(c.Context(), "POST", "/topics", map[string]any{"topic": topic, "payload": nil, "qos": 1})
		if err == nil && f.json {
			err = printJSON(c, body)
		}
		return err
	}}
	f.register(c)
	return c
}
