package cli

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
)

// node is a node as REST shows it.
type node struct {
	Node        string
	Self        bool
	Kind, State string
	Version     string
	StartedAt   area.Time `json:"started_at"`
	HTTP, MQTT  *string
	Connections struct{ Web, MQTT int64 }
	Areas       []area.Name
	MessagesS   float64 `json:"messages_s"`
	MemoryBytes uint64  `json:"memory_bytes"`
	Backplane   struct {
		Mode      string
		Connected bool
		Missed    uint64
		Losses    uint64
	}
	Since   area.Time
	Starts  int
	HeardAt *area.Time `json:"heard_at"`
	LagMs   *float64   `json:"lag_ms"`
	GoneAt  *area.Time `json:"gone_at"`
}

func nodeList(env Env) *cobra.Command {
	header := []string{"NODE", "STATE", "AREAS", "WEB", "MQTT", "MESSAGES_S", "LAG_MS", "STARTED", "GONE", "VERSION"}
	return list(env, "list", "Show the nodes of the hub, as the one that is asked sees them (its name has a star)", "/nodes", header, func(n node) []string {
		name := n.Node
		if n.Self {
			name += "*"
		}
		return []string{name, n.State, texts(n.Areas), strconv.FormatInt(n.Connections.Web, 10), strconv.FormatInt(n.Connections.MQTT, 10), fmt.Sprintf("%.1f", n.MessagesS), n.lag(), n.StartedAt.String(), text(n.GoneAt), n.Version}
	})
}

// lag is the way there and back, in ms; empty where it is not known.
func (n node) lag() string {
	if n.LagMs == nil || n.Self {
		return ""
	}
	return strconv.FormatFloat(*n.LagMs, 'f', -1, 64)
}

func nodeShow(env Env) *cobra.Command {
	var f hubFlags
	c := &cobra.Command{Use: "show NODE", Short: "Show one node of the hub", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		hub, err := f.client(env)
		if err != nil {
			return err
		}
		n, body, err := get[node](c.Context(), hub, "/nodes/"+url.PathEscape(args[0]))
		if err != nil {
			return err
		}
		if f.json {
			return printJSON(c, body)
		}
		return n.table().print(c.OutOrStdout())
	}}
	f.register(c)
	return c
}

func (n node) table() table {
	t := table{{"KEY", "VALUE"}}
	for _, line := range [][2]string{
		{"node", n.Node}, {"state", n.State}, {"kind", n.Kind}, {"version", n.Version}, {"started", n.StartedAt.String()}, {"http", text(n.HTTP)}, {"mqtt", text(n.MQTT)},
		{"areas", texts(n.Areas)}, {"web_connections", fmt.Sprint(n.Connections.Web)}, {"mqtt_connections", fmt.Sprint(n.Connections.MQTT)},
		{"messages_s", fmt.Sprintf("%.1f", n.MessagesS)}, {"memory_bytes", fmt.Sprint(n.MemoryBytes)},
		{"backplane", n.Backplane.Mode}, {"backplane_connected", fmt.Sprint(n.Backplane.Connected)}, {"backplane_missed", fmt.Sprint(n.Backplane.Missed)}, {"backplane_losses", fmt.Sprint(n.Backplane.Losses)},
		{"seen_since", n.Since.String()}, {"starts_seen", fmt.Sprint(n.Starts)}, {"heard", text(n.HeardAt)}, {"lag_ms", n.lag()}, {"gone", text(n.GoneAt)},
	} {
		t.row(line[0], line[1])
	}
	return t
}
