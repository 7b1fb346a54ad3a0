package share

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/firmware/fetch"
	"golang.org/x/sync/errgroup"
)

// Client asks the neighbours; it is a [fetch.Near]. It is safe for concurrent
// use.
type Client struct {
	cfg  Config
	http *http.Client

	mu      sync.Mutex
	numbers map[string]string    // newest number of a neighbour, by address
	away    map[string]time.Time // addresses that are left alone until then
}

var _ fetch.Near = (*Client)(nil)

// NewClient makes a client. Its error is a configuration that is not valid.
func NewClient(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.fill()
	return &Client{cfg: cfg, numbers: map[string]string{}, away: map[string]time.Time{}, http: &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: dialTime}).DialContext, ResponseHeaderTimeout: headTime, IdleConnTimeout: idleTime / 2,
			MaxIdleConns: 2 * asksAtOnce, MaxIdleConnsPerHost: 1, DisableCompression: true, MaxResponseHeaderBytes: mostHead,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close ends the connections that nobody uses.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// neighbours are the others of the roster who have told an address.
func (c *Client) neighbours() (area.Peers, []area.Member) {
	roster, ok := c.cfg.Roster()
	if !ok {
		return roster, nil
	}
	var others []area.Member
	for _, m := range roster.Members {
		if m.Device != c.cfg.Device && m.Clips != "" {
			others = append(others, m)
		}
	}
	return roster, others
}

// Ask asks each neighbour what it has of a clip; who does not answer within a
// second has not said anything. The shelves are in the order of the roster.
func (c *Client) Ask(ctx context.Context, sum clip.Sum) []fetch.Shelf {
	roster, others := c.neighbours()
	shelves := make([]fetch.Shelf, len(others))
	var asks errgroup.Group
	asks.SetLimit(asksAtOnce)
	for i, m := range others {
		asks.Go(func() error {
			shelves[i] = fetch.Shelf{Device: m.Device, Has: c.ask(ctx, roster, m, sum)}
			return nil
		})
	}
	_ = asks.Wait() // none has an error
	return shelves
}

// ask asks one of them.
func (c *Client) ask(ctx context.Context, roster area.Peers, m area.Member, sum clip.Sum) fetch.Has {
	if c.isAway(m.Clips) {
		return fetch.Silent
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	res, err := c.do(ctx, roster, m, http.MethodHead, sum, nil)
	if err != nil {
		return fetch.Silent
	}
	_ = res.Body.Close() // it is empty
	switch res.StatusCode {
	case http.StatusOK:
		return fetch.Whole
	case http.StatusAccepted:
		return fetch.Coming
	case http.StatusNotFound:
		return fetch.Nothing
	}
	return fetch.Silent
}

// Get asks a neighbour for the bytes of a clip, with these headers. The body is
// the caller's to close. It blocks until the answer begins.
func (c *Client) Get(ctx context.Context, who area.DeviceID, sum clip.Sum, head http.Header) (*http.Response, error) {
	roster, others := c.neighbours()
	for _, m := range others {
		if m.Device == who {
			return c.do(ctx, roster, m, http.MethodGet, sum, head)
		}
	}
	return nil, fmt.Errorf("%s is no neighbour", who)
}

// do asks, with the newest number that the neighbour has told; it tells a new
// one where that is too old.
func (c *Client) do(ctx context.Context, roster area.Peers, m area.Member, method string, sum clip.Sum, head http.Header) (*http.Response, error) {
	path := "/clips/" + sum.Hex()
	for again := false; ; again = true {
		req, err := http.NewRequestWithContext(ctx, method, "http://"+m.Clips+path, nil)
		if err != nil {
			return nil, err
		}
		for k, v := range head {
			req.Header[k] = v
		}
		number := c.number(m.Clips)
		req.Header.Set("Authorization", authorization(c.cfg.Device, number, macOf(roster.Key, roster.Area, c.cfg.Device, m.Device, method, path, number)))
		res, err := c.http.Do(req)
		if err != nil {
			c.leave(m.Clips, err)
			return nil, err
		}
		word, told := strings.CutPrefix(res.Header.Get("WWW-Authenticate"), scheme+" ")
		if res.StatusCode != http.StatusUnauthorized || again || !told {
			return res, nil
		}
		_ = res.Body.Close()
		c.mu.Lock()
		c.numbers[m.Clips] = word
		c.mu.Unlock()
	}
}

// number is the newest one that an address has told.
func (c *Client) number(addr string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.numbers[addr]; n != "" {
		return n
	}
	return "none"
}

// leave leaves an address alone for a while where nobody listens at it.
func (c *Client) leave(addr string, err error) {
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || errors.Is(err, context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.away) > 2*area.MostMembers { // addresses of long ago
		clear(c.away)
		clear(c.numbers)
	}
	c.away[addr] = time.Now().Add(awayTime)
}

func (c *Client) isAway(addr string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Before(c.away[addr])
}
