package firmware

import (
	"encoding/json"
	"net"
	"net/url"
	"strings"

	"github.com/tacet-hub/tacet/broker/area"
)

// Web is the address of the hub's web listener as the device reaches it, such as
// http://hub.local:8080; empty while that is not known. It stays the last one
// while the hub is away. A leader of the area is no hub: it has no more than the
// neighbours have.
func (a *Agent) Web() string {
	if a.Home != nil {
		if web := a.Home(); web != "" {
			return web
		}
	}
	if p := a.shared.web.Load(); p != nil {
		return *p
	}
	return ""
}

// led hears who arbitrates the area, and where its web listener is.
func (a *Agent) led(m area.Message) {
	var l area.Leader
	if err := json.Unmarshal(m.Payload, &l); err != nil {
		a.Log.Warn("leader not understood", "topic", m.Topic, "err", err)
		return
	}
	if l.Mode == area.LeaderLocal {
		return
	}
	a.webPort = l.Web
	a.findWeb()
}

// findWeb works out where the web listener is, now that something is known anew.
func (a *Agent) findWeb() {
	if a.Home != nil && a.Home() != "" {
		return // it is connected to somebody else
	}
	if web := WebOf(a.cfg.Web, a.link.hub, a.webPort); web != "" && web != a.Web() {
		a.shared.web.Store(&web)
		a.Log.Debug("the hub's web listener", "conn", a.link.conn, "node", web)
	}
}

// WebOf is where the web listener is: where the operator says; else where the
// hub's MQTT over WebSocket is; else at the hub's host, by scheme and port as the
// hub told them.
func WebOf(configured, hub, told string) string {
	if configured != "" {
		return configured
	}
	h, err := url.Parse(hub)
	if err != nil || h.Host == "" {
		return ""
	}
	switch h.Scheme {
	case "ws", "wss":
		web := url.URL{Scheme: strings.Replace(h.Scheme, "ws", "http", 1), Host: h.Host, Path: strings.TrimSuffix(h.Path, "/mqtt")}
		return web.String()
	}
	t, err := url.Parse(told)
	if err != nil || t.Scheme != "http" && t.Scheme != "https" || t.Port() == "" {
		return ""
	}
	return t.Scheme + "://" + net.JoinHostPort(h.Hostname(), t.Port())
}
