package viewd

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/bridge"
	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/window"
	"github.com/tacet-hub/tacet/broker/area"
)

// shift is how long a connection may last of somebody who has signed in: then his
// rights are asked for anew.
const shift = 15 * time.Minute

// Claims of a principal: what its connection shows the source.
const (
	claimCookie = "cookie"
	claimBearer = "authorization"
	claimHost   = "host"
	claimOpen   = "open" // the hub is open: everybody may do everything
)

// who is what a node of the hub says of a caller.
type who struct {
	Name  *string  `json:"name"` // nil: the hub is open
	Roles []string `json:"roles"`
}

func (v *View) makeHub(c signalr.Cluster) (*signalr.Server, error) {
	s, err := signalr.New(signalr.Config{
		Cluster: c, Authenticate: v.authenticate, Forward: v.forward.Serve, CloseTimeout: time.Second, AllowStatefulReconnects: true,
	}, v.log)
	if err != nil {
		return nil, err
	}
	s.OnConnect(func(c *signalr.Conn) {
		v.mu.Lock()
		v.conns[c] = struct{}{}
		v.mu.Unlock()
		_ = c.Send("ConnectionAcknowledged", c.ID(), area.At(time.Now())) // an error means that it is ending
	})
	s.OnDisconnect(func(c *signalr.Conn, _ error) {
		v.mu.Lock()
		delete(v.conns, c)
		v.mu.Unlock()
	})
	s.Handle("Echo", echo)
	s.Handle("JoinArea", v.joinArea)
	s.Handle("GetAreas", v.getAreas)
	s.Handle("JoinGroup", v.joinGroup)
	s.Handle("LeaveGroup", leaveGroup)
	return s, nil
}

// authenticate has the source say whose request it is.
func (v *View) authenticate(r *http.Request) (p signalr.Principal, err error) {
	shows := map[string]any{claimCookie: r.Header.Get("Cookie"), claimBearer: bearer(r), claimHost: r.Host}
	status, body, err := v.read(r.Context(), shows, "/auth/login")
	switch {
	case err != nil:
		return p, err
	case status == http.StatusForbidden:
		return p, signalr.ErrForbidden
	case status != http.StatusOK:
		return p, errors.New("nobody is signed in")
	}
	var says who
	if err := json.Unmarshal(body, &says); err != nil {
		return p, err
	}
	if says.Name == nil {
		shows[claimOpen] = "yes"
		return signalr.Principal{Claims: shows}, nil
	}
	return signalr.Principal{Name: *says.Name, Roles: says.Roles, Claims: shows, Expires: time.Now().Add(shift)}, nil
}

// bearer is the Authorization header, or what stands for it in a browser's address.
func bearer(r *http.Request) string {
	if h := r.Header.Get("Authorization"); h != "" {
		return h
	}
	if t := r.URL.Query().Get("access_token"); t != "" {
		return "Bearer " + t
	}
	return ""
}

func open(c *signalr.Conn) bool { return c.Principal().Claims[claimOpen] == "yes" }

func echo(_ context.Context, c *signalr.Call) (any, error) {
	var x json.RawMessage
	err := c.Bind(&x)
	return x, err
}

// areas is what the source shows of the areas to who is connected.
func (v *View) areas(ctx context.Context, c *signalr.Conn) (list []json.RawMessage, err error) {
	status, body, err := v.read(ctx, c.Principal().Claims, "/api/v1/areas?limit=1000")
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, area.Errorf(area.CodeForbidden, "the hub answers %d", status)
	}
	var page struct{ Items []json.RawMessage }
	err = json.Unmarshal(body, &page)
	return page.Items, err
}

func (v *View) getAreas(ctx context.Context, c *signalr.Call) (any, error) {
	if err := c.Bind(); err != nil {
		return nil, err
	}
	return v.areas(ctx, c.Conn())
}

// joinArea answers a snapshot of an area, or of all; what changes follows. Who joins
// hears of changes before the snapshot is made: of two the one with the higher number
// counts.
func (v *View) joinArea(ctx context.Context, c *signalr.Call) (any, error) {
	var in string
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in == "*" && open(c.Conn()) {
		if _, err := c.Conn().Join(bridge.All); err != nil {
			return nil, err
		}
		return v.areas(ctx, c.Conn())
	}
	list, err := v.areas(ctx, c.Conn())
	if err != nil {
		return nil, err
	}
	for _, raw := range list {
		var a struct{ ID area.Name }
		if err := json.Unmarshal(raw, &a); err != nil {
			return nil, err
		}
		if in != "*" && in != string(a.ID) {
			continue
		}
		if _, err := c.Conn().Join(string(area.AreaGroup(a.ID))); err != nil {
			return nil, err
		}
		if in != "*" {
			return raw, nil
		}
	}
	if in != "*" {
		return nil, area.Errorf(area.CodeUnknownArea, "no area %s", in)
	}
	return v.areas(ctx, c.Conn())
}

// joinGroup makes a member of a group. Where people sign in only the figures are for
// all: whose group another is only the nodes of the hub know.
func (v *View) joinGroup(ctx context.Context, c *signalr.Call) (any, error) {
	var name string
	var since json.RawMessage
	if err := c.Bind(&name, &since); err != nil {
		if err := c.Bind(&name); err != nil {
			return nil, err
		}
	}
	g, err := area.ParseGroup(name)
	if err != nil {
		return nil, err
	}
	if !open(c.Conn()) && name != bridge.GroupMetrics || strings.HasPrefix(name, "area:") {
		return nil, area.Errorf(area.CodeForbidden, "group %s is not shown here", g)
	}
	defer v.hub.Listen(ctx, name)()
	_, err = c.Conn().Join(name)
	return nil, err
}

func leaveGroup(_ context.Context, c *signalr.Call) (any, error) {
	var name string
	if err := c.Bind(&name); err != nil {
		return nil, err
	}
	c.Conn().Leave(name)
	return nil, nil
}

// show hands what the source tells its own connections to ours.
func (v *View) show(e window.Event) {
	args := make([]any, len(e.Args))
	for i, a := range e.Args {
		args[i] = a
	}
	to := v.hub.Group(e.Group).Here()
	if e.Latest {
		to.SendLatest(e.Name, e.Key, args...)
		return
	}
	to.Send(e.Name, args...)
}

// anew has everybody come back and ask for a snapshot: something was missed.
func (v *View) anew() {
	v.mu.Lock()
	list := make([]*signalr.Conn, 0, len(v.conns))
	for c := range v.conns {
		list = append(list, c)
	}
	v.mu.Unlock()
	for _, c := range list {
		c.Dismiss()
	}
}
