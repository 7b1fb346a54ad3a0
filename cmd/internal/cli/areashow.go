package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
)

// areaShow prints an area, and who arbitrates it.
func areaShow(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{
		Use:   "show AREA",
		Short: "Show an area: what it does, and which device leads it",
		Long: "Show an area: what it does, and which device leads it.\n\n" +
			"A local area that the hub leads is one whose devices cannot be reached, or none of which has led yet: if they lead\n" +
			"among themselves, it is split.",
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			hub, err := f.client(env)
			if err != nil {
				return err
			}
			a, body, err := get[area.Area](c.Context(), hub, "/areas/"+url.PathEscape(args[0]))
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(c, body)
			}
			l, err := leaderOf(c.Context(), hub, a.ID)
			if err != nil {
				return err
			}
			return shownArea(a, l).print(c.OutOrStdout())
		},
	}
	f.register(c)
	return c
}

// leaderOf is what the arbiter of an area says of itself, which the broker
// retains; the zero leader where it has said nothing.
func leaderOf(ctx context.Context, hub *client, a area.Name) (l area.Leader, err error) {
	type topics struct {
		Items []struct {
			Payload json.RawMessage `json:"payload"`
		} `json:"items"`
	}
	found, _, err := get[topics](ctx, hub, "/topics?"+url.Values{"filter": {area.LeaderTopic(a)}}.Encode())
	if err != nil || len(found.Items) == 0 {
		return l, err
	}
	return l, decode(found.Items[0].Payload, &l)
}

// shownArea is an area as a table of keys and values.
func shownArea(a area.Area, l area.Leader) table {
	var b area.Busy
	if json.Unmarshal(a.Busy, &b) != nil {
		b.State = "" // no arbiter has said anything yet
	}
	leads := l.Host
	if l.Mode == area.LeaderHub {
		leads = "the hub " + l.Host
	}
	t := table{{"KEY", "VALUE"}}
	for _, line := range [][2]string{
		{"id", string(a.ID)}, {"name", a.Name}, {"source", string(a.Source)}, {"state", string(b.State)}, {"holder", text(b.Holder)}, {"waiting", strconv.Itoa(waiting(a))},
		{"topology", a.Topology}, {"leader", cmp.Or(leads, "-")}, {"term", strconv.FormatUint(l.Term, 10)}, {"broker", l.Addr}, {"mode", a.Mode}, {"policy", a.Policy},
		{"lease", (time.Duration(a.LeaseMs) * time.Millisecond).String()}, {"volume", strconv.Itoa(a.Volume)}, {"members", texts(a.Members)},
	} {
		t.row(line[0], line[1])
	}
	return t
}
