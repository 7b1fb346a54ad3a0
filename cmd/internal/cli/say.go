package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
)

// ask is how often a waiting command asks how an order stands.
const ask = 200 * time.Millisecond

// sayFlags are what say is told.
type sayFlags struct {
	hubFlags
	area, location, device, priority, chime, clip string
	wait                                          bool
}

func say(env Env) *cobra.Command {
	var f sayFlags
	c := &cobra.Command{
		Use:   "say (--area A | --location L | --device D) (TEXT | --clip CLIP)",
		Short: "Announce a text or a clip",
		Long: `Announces a text or a clip, and prints the order's id, its state, and when it is
estimated to start ("-": nothing that could play it is connected). With --wait it
goes on until the order has ended, prints that and when, and exits with 0 if it was
played, else with 1.`,
		Args: f.something,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, env, strings.Join(args, " ")) },
	}
	f.register(c)
	fs := c.Flags()
	fs.StringVar(&f.area, "area", "", "any device of this area")
	fs.StringVar(&f.location, "location", "", "the device at this location")
	fs.StringVar(&f.device, "device", "", "this device")
	fs.StringVar(&f.priority, "priority", "", "background, normal, high or emergency (default normal)")
	fs.StringVar(&f.chime, "chime", "", "the tone before it: two-tone, three-tone, four-tone, gong, beep or alarm (default none)")
	fs.StringVar(&f.clip, "clip", "", "play this clip (sha256:…) in place of a text")
	fs.BoolVar(&f.wait, "wait", false, "wait for the end; exit 0 if it was played")
	return c
}

// something wants at least one word, of which several are one text, or a clip.
func (f *sayFlags) something(c *cobra.Command, args []string) error {
	if len(args) == 0 && f.clip == "" {
		return Usagef("%s needs a text; usage: %s", c.CommandPath(), c.UseLine())
	}
	if len(args) > 0 && f.clip != "" {
		return Usagef("%s takes a text or a clip, not both", c.CommandPath())
	}
	return nil
}

func (f *sayFlags) run(c *cobra.Command, env Env, message string) error {
	req, err := f.request(message)
	if err != nil {
		return err
	}
	hub, err := f.client(env)
	if err != nil {
		return err
	}
	body, err := hub.do(c.Context(), "POST", "/orders", req)
	if err != nil {
		return err
	}
	var made area.Accepted
	if err := decode(body, &made); err != nil {
		return err
	}
	if !f.json {
		fmt.Fprintln(c.OutOrStdout(), printable(fmt.Sprintf("%s %s %s", made.ID, made.State, orDash(text(made.EstimatedStart)))))
		if made.EstimatedStart == nil {
			fmt.Fprintln(c.ErrOrStderr(), "when it can start is not known: is a device that could play it connected?")
		}
	}
	if !f.wait && !f.json {
		return nil
	}
	return f.follow(c, hub, made.ID)
}

// request is the order that the flags ask for.
func (f *sayFlags) request(message string) (area.OrderRequest, error) {
	req := area.OrderRequest{Message: &message, Chime: f.chime}
	if f.clip != "" {
		sum, err := clip.ParseSum(f.clip)
		if err != nil {
			return req, Usagef("--clip: %v", err)
		}
		name := sum.String()
		req.Message, req.Clip = nil, &name
	}
	for _, to := range []struct {
		is  *string
		put **string
	}{{&f.area, &req.To.Area}, {&f.location, &req.To.Location}, {&f.device, &req.To.Device}} {
		if *to.is != "" {
			*to.put = to.is
		}
	}
	if req.To.Keys() != 1 {
		return req, Usagef("say needs exactly one of --area, --location and --device")
	}
	if f.priority != "" {
		p, err := area.ParsePriority(f.priority)
		if err != nil {
			return req, Usagef("--priority: %q is none of background, normal, high, emergency", f.priority)
		}
		req.Priority = &p
	}
	return req, nil
}

// follow prints the order: as it is now, or with --wait at its end.
func (f *sayFlags) follow(c *cobra.Command, hub *client, id area.WorkID) error {
	o, body, err := await(c.Context(), hub, id, f.wait)
	if err != nil {
		return err
	}
	if f.json {
		if err := printJSON(c, body); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(c.OutOrStdout(), printable(fmt.Sprintf("%s %s %s", o.ID, o.State, orDash(text(o.EndedAt)))))
	}
	if f.wait && o.State != area.OrderPlayed {
		return &Error{Exit: ExitFailed, Code: string(o.State), Detail: fmt.Sprintf("order %s: %s", o.ID, orDash(text(o.Reason))) + whatFailed(c.Context(), hub, o)}
	}
	return nil
}

// whatFailed is what the device of an order says of its loudspeaker, where it is by
// that that the order has failed; empty: it says nothing.
func whatFailed(ctx context.Context, hub *client, o area.Order) string {
	if text(o.Reason) != area.EndDeviceError {
		return ""
	}
	var by area.DeviceID
	for _, h := range o.History {
		if h.Device != nil {
			by = *h.Device
		}
	}
	if by == "" {
		return ": no device there has a loudspeaker that works; see tacet device list, and tacet device show"
	}
	s, _, err := statusOf(ctx, hub, by)
	if err != nil || s.Health == nil || s.Health.Faults["audio"] == "" {
		return ": see tacet device show " + string(by)
	}
	return fmt.Sprintf(": %s: audio: %s", by, strings.ReplaceAll(s.Health.Faults["audio"], "\n", "; "))
}

// await reads an order, with wait again and again until it has ended.
func await(ctx context.Context, hub *client, id area.WorkID, wait bool) (area.Order, []byte, error) {
	tick := time.NewTicker(ask)
	defer tick.Stop()
	for {
		o, body, err := get[area.Order](ctx, hub, "/orders/"+url.PathEscape(string(id)))
		if err != nil || !wait || o.State.Ended() {
			return o, body, err
		}
		select {
		case <-ctx.Done():
			return o, body, &Error{Exit: ExitFailed, Code: "interrupted", Detail: fmt.Sprintf("order %s is %s", id, o.State)}
		case <-tick.C:
		}
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// stop silences an area, or all of them.
func stop(env Env) *cobra.Command {
	var f hubFlags
	var of string
	var waiting bool
	c := &cobra.Command{Use: "stop [--area A]", Short: "Stop what plays and cancel what waits, everywhere or in one area", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		path := "/stop"
		if of != "" {
			path = "/areas/" + url.PathEscape(of) + "/stop"
		}
		if !waiting {
			path += "?waiting=false"
		}
		body, err := hub.do(c.Context(), "POST", path, nil)
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		var done struct{ Stopped, Cancelled []string }
		if err := decode(body, &done); err != nil {
			return err
		}
		t := table{{"ORDER", "DONE"}}
		for _, id := range done.Stopped {
			t.row(id, "stopped")
		}
		for _, id := range done.Cancelled {
			t.row(id, "cancelled")
		}
		return t.print(c.OutOrStdout())
	}}
	f.register(c)
	c.Flags().StringVar(&of, "area", "", "this area alone")
	c.Flags().BoolVar(&waiting, "waiting", true, "cancel what waits too")
	return c
}
