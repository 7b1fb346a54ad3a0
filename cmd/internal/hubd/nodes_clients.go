package hubd

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/tacet-hub/tacet/bridge/backplane"
	"github.com/tacet-hub/tacet/bridge/devicehub"
	"github.com/tacet-hub/tacet/bridge/forward"
	"github.com/tacet-hub/tacet/bridge/presence"
	"github.com/tacet-hub/tacet/bridge/signalr"
)

// makeForward makes what hands requests to the node that they are for.
func (h *Hub) makeForward(n *nodes) {
	forward.Tell(n.mux, h.webAddress)
	n.forward = forward.New(forward.Config{Self: h.cfg.Node}, forward.By(n.mux), h.log)
	n.mux.OnNodes(func(list []backplane.Node) {
		alive := make(map[string]bool, len(list))
		for _, node := range list {
			alive[node.Name] = true
		}
		n.forward.Keep(alive)
	})
}

// runForward ends what is handed on when the web listener ends.
func (h *Hub) runForward(ctx context.Context) error {
	if h.nodes == nil {
		<-ctx.Done()
		return nil
	}
	return h.nodes.forward.Run(ctx)
}

// kindPresence is the backplane's kind of what nodes tell of their connections.
const kindPresence = backplane.KindUser + 49

// makeDirectory makes what knows the connections of all nodes.
func (h *Hub) makeDirectory(n *nodes) {
	n.directory = presence.New(presence.Config{Kind: kindPresence, Log: h.log}, n.mux, func(id string) (presence.Conn, bool) { return h.devices.Describe(id) })
	n.directory.OnGone(func(list []presence.Conn) { h.devices.Gone(list) })
}

// runDirectory tells the other nodes of this one's connections.
func (h *Hub) runDirectory(ctx context.Context) error {
	if h.nodes == nil {
		<-ctx.Done()
		return nil
	}
	return h.nodes.directory.Run(ctx)
}

// joinDirectory has the directory told of this node's connections.
func (h *Hub) joinDirectory() {
	if h.nodes != nil {
		h.signalr.OnChange(h.nodes.directory.Changed)
	}
}

// otherConns knows the connections of other nodes; nil: there are none.
func (h *Hub) otherConns() devicehub.Others {
	if h.nodes == nil {
		return nil
	}
	return h.nodes.directory
}

// elsewhere counts a user's connections at other nodes; nil: there are none.
func (h *Hub) elsewhere() func(user string) int {
	if h.nodes == nil {
		return nil
	}
	return h.nodes.directory.Elsewhere
}

// groupLog numbers what groups have, for all nodes; nil: each group is this node's.
func (h *Hub) groupLog() signalr.Log {
	if h.nodes == nil {
		return nil
	}
	return h.nodes.log
}

// groupMarks remembers for all nodes where who left which group; nil: this process alone.
func (h *Hub) groupMarks() devicehub.Marks {
	if h.nodes == nil {
		return nil
	}
	return h.nodes.marks
}

// groupPast knows when the events of numbered groups were; nil: none are.
func (h *Hub) groupPast() devicehub.LogPast {
	if h.nodes == nil {
		return nil
	}
	return h.nodes.log
}

// numbered tells whether the events of a group are numbered for all nodes: those that are
// kept, but for an area's, of which each node tells its own clients what it knows itself.
func numbered(group string) bool {
	if group[0] == '@' { // of another tenant
		_, group, _ = strings.Cut(group, "/")
	}
	return !strings.HasPrefix(group, "area:") && replayed(group, "")
}

// forwards is how the device hub serves what is for another node; nil: there is none.
func (h *Hub) forwards() func(http.ResponseWriter, *http.Request, string) bool {
	if h.nodes == nil {
		return nil
	}
	return h.nodes.forward.Serve
}

// atHome serves a request with a session of the dashboard that is not known here yet at
// the node where that was opened. Where that node is gone, this one knows it by now.
func (h *Hub) atHome(next http.Handler) http.Handler {
	if h.nodes == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if node := h.sessionNode(r); node == "" || node == h.cfg.Node || !h.nodes.forward.Serve(w, r, node) {
			next.ServeHTTP(w, r)
		}
	})
}

// sessionNode is the node in the key of a request's session; empty: there is none, or it
// is known here.
func (h *Hub) sessionNode(r *http.Request) string {
	key := bearerOf(r.Header.Get("Authorization"))
	if key == "" {
		if c, err := r.Cookie(cookieName); err == nil {
			key = c.Value
		}
	}
	if !strings.HasPrefix(key, sessionPrefix) {
		return ""
	}
	if _, _, here := h.who.held(key); here {
		return ""
	}
	_, node, _ := strings.Cut(key, sessionMark)
	return node
}

// webAddress is where other nodes reach this one's web listener.
func (h *Hub) webAddress() forward.Address {
	a := forward.Address{URL: h.cfg.Redis.Advertise}
	scheme := "http"
	if h.webTLS != nil {
		scheme, a.Pin = "https", forward.PinOf(h.webTLS.now.Load().Certificates[0].Certificate[0])
	}
	if a.URL == "" {
		host, port, _ := net.SplitHostPort(h.web.Addr().String()) // of a listener
		if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
			host = ownHost(h.cfg.Redis.URL)
		}
		a.URL = scheme + "://" + net.JoinHostPort(host, port)
	}
	return a
}

// ownHost is this machine's address as the common server sees it: nodes that reach one
// server mostly reach each other. Nothing is sent to find it.
func ownHost(server string) string {
	const here = "127.0.0.1"
	u, err := url.Parse(server)
	if err != nil || u.Hostname() == "" {
		return here
	}
	c, err := net.Dial("udp", net.JoinHostPort(u.Hostname(), "6379"))
	if err != nil {
		return here
	}
	defer c.Close()
	host, _, _ := net.SplitHostPort(c.LocalAddr().String()) // of a socket
	return host
}

// toThisNode sends a client that has come by a balancer to this node's own address,
// where one is configured. Pages with a session stay: their cookie is for the host that
// they are on.
func (h *Hub) toThisNode(r *http.Request, _ signalr.Principal) (to signalr.Redirection) {
	q := r.URL.Query()
	if h.cfg.Hub.PublicURL == "" || q.Has(nodeParam) {
		return to
	}
	if _, err := r.Cookie(cookieName); err == nil {
		return to
	}
	for _, own := range []string{"negotiateVersion", "useStatefulReconnect", "access_token", "id"} { // the client says them anew
		q.Del(own)
	}
	q.Set(nodeParam, h.cfg.Node)
	to.URL = strings.TrimRight(h.cfg.Hub.PublicURL, "/") + hubPath + "?" + q.Encode()
	return to
}

// nodeParam marks a request that was sent to a node's own address.
const nodeParam = "node"
