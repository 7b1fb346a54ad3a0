package cli

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
)

// lookAgain is how often a command looks how far a rollout is.
const lookAgain = time.Second

// deviceUpdate brings devices to the version that the hub has, and shows how
// far they are.
func deviceUpdate(env Env) *cobra.Command {
	var f hubFlags
	var in string
	var all, leave bool
	var req rollout.Request
	c := &cobra.Command{
		Use: "update [DEVICE | --area AREA | --all]", Short: "Bring devices to the version that the hub has, one at a time in each area",
		Long: `Brings devices to the version that "tacet update publish" has put onto the hub. In
each area one device at a time is updated; the next one follows when it is well.
After a failure nobody else is begun, and the exit code is 1. It shows each device
as it goes on; ended early, or with --no-wait, the rollout goes on without it.`,
		Args: cobra.MaximumNArgs(1), RunE: func(c *cobra.Command, args []string) error {
			if given := len(args) + count(in != "", all); given != 1 {
				return Usagef("update needs exactly one of a device, --area and --all")
			}
			switch {
			case all:
				req.To.All = true
			case in != "":
				req.To.Area = (*area.Name)(&in)
			default:
				req.To.Device = (*area.DeviceID)(&args[0])
			}
			hub, err := f.client(env)
			if err != nil {
				return err
			}
			body, err := hub.do(c.Context(), "POST", "/rollouts", req)
			if err != nil {
				return err
			}
			var r rollout.Rollout
			if err := decode(body, &r); err != nil {
				return err
			}
			if leave {
				if f.json {
					return printJSON(c, body)
				}
				_, err := fmt.Fprintln(c.OutOrStdout(), printable(r.ID))
				return err
			}
			return follow(c, hub, r, f.json)
		}}
	f.register(c)
	c.Flags().StringVar(&in, "area", "", "every player of this `AREA`")
	c.Flags().BoolVar(&all, "all", false, "every player")
	c.Flags().StringVar(&req.Version, "version", "", "this `VERSION` or none (default what the hub has)")
	c.Flags().BoolVar(&req.AllowDowngrade, "allow-downgrade", false, "go back to an older version too")
	c.Flags().BoolVar(&leave, "no-wait", false, "print the rollout's id and do not wait for its end")
	return c
}

func count(is ...bool) (n int) {
	for _, b := range is {
		if b {
			n++
		}
	}
	return n
}

// follow shows a rollout until it has ended. Its error is that of one that has
// not done what it should.
func follow(c *cobra.Command, hub *client, r rollout.Rollout, asJSON bool) error {
	shown := map[area.DeviceID]string{}
	for {
		next, body, err := get[rollout.Rollout](c.Context(), hub, "/rollouts/"+url.PathEscape(r.ID))
		if err != nil {
			return err
		}
		r = next
		if !asJSON {
			if err := showSteps(c.OutOrStdout(), r, shown); err != nil {
				return err
			}
		}
		if r.EndedAt == nil {
			if err := sleep(c.Context(), lookAgain); err != nil {
				return err
			}
			continue
		}
		if asJSON {
			if err := printJSON(c, body); err != nil {
				return err
			}
		}
		return verdict(r)
	}
}

// showSteps prints a line for each device that has gone on.
func showSteps(w io.Writer, r rollout.Rollout, shown map[area.DeviceID]string) error {
	for _, d := range r.Devices {
		line := fmt.Sprintf("%s %s", d.Device, d.State)
		if d.State == area.UpdateDownloading {
			line += fmt.Sprintf(" %d %%", d.Percent)
		}
		if d.State == rollout.Ordered {
			line += fmt.Sprintf(", it has %v to answer", rollout.AnswerTime)
		}
		if d.Version != "" {
			line += " " + d.Version
		}
		if d.Reason != "" {
			line += ": " + d.Reason
		}
		if d.State == rollout.Waiting || shown[d.Device] == line {
			continue
		}
		shown[d.Device] = line
		if _, err := fmt.Fprintln(w, printable(line)); err != nil {
			return err
		}
	}
	return nil
}

// verdict is the error of a rollout in which a device is not where it should be.
func verdict(r rollout.Rollout) error {
	var well, skipped, bad int
	for _, d := range r.Devices {
		switch d.State {
		case area.UpdateConfirmed:
			well++
		case rollout.Skipped:
			skipped++
		default:
			bad++
		}
	}
	if r.State == rollout.Done && skipped == 0 {
		return nil
	}
	return &Error{Exit: ExitFailed, Code: r.State, Detail: fmt.Sprintf("%d of %d devices are updated, %d failed, %d were skipped", well, len(r.Devices), bad, skipped)}
}

// sleep waits, unless ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// updateRollouts lists the rollouts.
func updateRollouts(env Env) *cobra.Command {
	header := []string{"ID", "STATE", "VERSION", "CREATED_AT", "CREATED_BY", "DEVICES", "CONFIRMED", "ENDED_AT"}
	return list(env, "rollouts", "Show the rollouts of the hub, the oldest first", "/rollouts", header, func(r rollout.Rollout) []string {
		well := 0
		for _, d := range r.Devices {
			if d.State == area.UpdateConfirmed {
				well++
			}
		}
		return []string{r.ID, r.State, r.Version, r.CreatedAt.String(), r.CreatedBy, fmt.Sprint(len(r.Devices)), fmt.Sprint(well), text(r.EndedAt)}
	})
}

// updateCancel takes a rollout back.
func updateCancel(env Env) *cobra.Command {
	return remove(env, "cancel ROLLOUT", "Take a rollout back; devices that are at it go on", func(id string) string { return "/rollouts/" + url.PathEscape(id) })
}
