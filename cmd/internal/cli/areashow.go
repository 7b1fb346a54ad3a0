package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
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
			if err := shownArea(a, hub.base).print(c.OutOrStdout()); err != nil || a.Peers == nil || len(a.Peers.Members) == 0 {
				return err
			}
			fmt.Fprintln(c.OutOrStdout())
			return shownPeers(*a.Peers).print(c.OutOrStdout())
		},
	}
	f.register(c)
	return c
}

// shownArea is an area as a table of keys and values, as the hub at base told.
func shownArea(a area.Area, base string) table {
	var b area.Busy
	if json.Unmarshal(a.Busy, &b) != nil {
		b.State = "" // no arbiter has said anything yet
	}
	var l area.Lead
	if a.Leader != nil {
		l = *a.Leader
	}
	t := table{{"KEY", "VALUE"}}
	for _, line := range [][2]string{
		{"id", string(a.ID)}, {"name", a.Name}, {"source", string(a.Source)}, {"state", string(b.State)}, {"holder", text(b.Holder)}, {"waiting", strconv.Itoa(waiting(a))},
		{"topology", a.Topology}, {"leader", leads(l)}, {"term", strconv.FormatUint(l.Term, 10)}, {"since", instant(l.Since)}, {"broker", l.Addr}, {"web", webOf(l, base)},
		{"owes", strconv.Itoa(l.Owes)}, {"split", split(l.Split)}, {"per node", perNode(l)}, {"mode", a.Mode}, {"policy", a.Policy},
		{"lease", (time.Duration(a.LeaseMs) * time.Millisecond).String()}, {"volume", strconv.Itoa(a.Volume)}, {"members", texts(a.Members)},
	} {
		t.row(line[0], line[1])
	}
	return t
}

// leads is who arbitrates, and whether it is heard.
func leads(l area.Lead) string {
	who := cmp.Or(l.Host, "-")
	if l.Mode == area.LeaderHub {
		who = "the hub " + who
	}
	if !l.Live && l.Host != "" {
		return who + ", silent"
	}
	return who
}

// webOf is the address of a leader's web listener. Its host, which is not told, is the
// broker's; the hub whose broker listens to all addresses is where it was asked.
func webOf(l area.Lead, base string) string {
	scheme, port, ok := strings.Cut(l.Web, "://:")
	host, _, err := net.SplitHostPort(l.Addr)
	switch ip := net.ParseIP(host); {
	case ok && err == nil && host != "" && (ip == nil || !ip.IsUnspecified()):
		return scheme + "://" + net.JoinHostPort(host, port)
	case ok && l.Mode == area.LeaderHub:
		return base
	}
	return l.Web
}

func instant(t *area.Time) string {
	if t == nil {
		return "-"
	}
	return t.String()
}

// perNode is since when the hub node grants to its own devices alone.
func perNode(l area.Lead) string {
	if l.Alone == nil {
		return "-"
	}
	return "since " + l.Alone.String() + ": other nodes cannot be reached, and may grant to theirs"
}

// split is a split in words.
func split(s *area.Split) string {
	if s == nil {
		return "-"
	}
	until := "not over yet"
	if s.Over != nil {
		until = "to " + s.Over.String()
	}
	return fmt.Sprintf("%s %s: %s by term %d, the hub by %d", s.At, until, s.Leader, s.Term, s.Own)
}

// shownPeers is the devices that may lead an area, as they told last.
func shownPeers(p area.Peering) table {
	t := table{{"DEVICE", "ROLE", "UPLINK", "ROSTER", "ADDRESS"}}
	for _, m := range p.Members {
		role, rev := "member", strconv.FormatUint(m.Rev, 10)
		if m.Leads {
			role = "leads"
		}
		if !m.Told {
			role, rev = "not known", "-"
		} else if m.Rev == p.Rev {
			rev += ", newest"
		}
		t.row(string(m.Device), role, uplink(m), rev, m.Addr)
	}
	return t
}

// uplink is what a member turns to.
func uplink(m area.PeerMember) string {
	to := cmp.Or(m.Follows, "-")
	if m.Who != "" {
		to += " " + string(m.Who)
	}
	if m.Told && !m.Hub {
		to += ", no hub"
	}
	return to
}
