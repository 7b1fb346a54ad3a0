package redis

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Config says where the server is, and how the nodes speak over it. The zero value
// of all but URL and Node is its default.
type Config struct {
	// URL is redis://, rediss://, valkey://, valkeys:// or unix://, with user, password
	// and database where there are some. Its query may have:
	//
	//	addr=HOST:PORT      another server of the cluster, or another sentinel; any number
	//	master_set=NAME     the hosts are Sentinel's, which know the server of this name
	//	sentinel_username=, sentinel_password=  of the sentinels, where they want others
	//	skip_verify=true    of TLS: take any certificate
	//
	// It may hold a password: it is never logged.
	URL  string
	Node string // name of this node: 1 to 64 of A-Z a-z 0-9 _ -
	Note string // what the node tells of itself to the others, at most 1 KiB

	// Home is what only the processes know that may follow each other under this name,
	// of which one at a time runs: a random text in the node's own data directory. A
	// process of another home is refused while this one lives. Empty: none is like it.
	Home string

	Prefix      string        // of every key and channel; tacet
	Heartbeat   time.Duration // how often a node says that it lives; 5 s; at least 100 ms
	NodeTimeout time.Duration // after what silence it counts as dead; 20 s; at least twice Heartbeat
	Queue       int           // bytes that wait to be sent, and that wait to be heard; 16 MiB
	History     int           // batches of at most 16 KiB that are kept of each channel; 1,000

	Log *slog.Logger // nil: nothing is logged
}

// batchBytes is how long a batch becomes before the next is begun.
const batchBytes = 16 << 10

// Validate reports everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("redis: "+format, args...)) }
	if _, err := c.option(); err != nil {
		errs = append(errs, err)
	}
	if c.Node == "" || len(c.Node) > 64 || strings.Trim(c.Node, idChars) != "" {
		bad("node %q is not 1 to 64 of A-Z a-z 0-9 _ -", c.Node)
	}
	if len(c.Note) > 1<<10 {
		bad("the note has %d bytes, at most 1,024", len(c.Note))
	}
	if strings.ContainsAny(c.Prefix, "{} \r\n") || len(c.Prefix) > 64 {
		bad("prefix %q has braces or blanks, or more than 64 bytes", c.Prefix)
	}
	f := c.filled()
	if f.Heartbeat < 100*time.Millisecond || f.NodeTimeout < 2*f.Heartbeat {
		bad("heartbeat %v is not at least 100ms and at most half of node timeout %v", f.Heartbeat, f.NodeTimeout)
	}
	if c.Queue < 0 || c.History < 0 {
		bad("queue or history is negative")
	}
	return errors.Join(errs...)
}

const idChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

func (c Config) filled() Config {
	if c.Prefix == "" {
		c.Prefix = "tacet"
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = 5 * time.Second
	}
	if c.NodeTimeout == 0 {
		c.NodeTimeout = 20 * time.Second
	}
	if c.Queue == 0 {
		c.Queue = 16 << 20
	}
	if c.History == 0 {
		c.History = 1000
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// patience is how long the server may take for an answer before the connection
// counts as lost.
const patience = 2 * time.Second

// refresh is how often it is asked anew which servers there are, beside what they
// tell by themselves.
const refresh = 5 * time.Second

func (c Config) option() (rueidis.ClientOption, error) {
	if err := CheckURL(c.URL); err != nil {
		return rueidis.ClientOption{}, fmt.Errorf("redis: the url: %w", err)
	}
	o, err := rueidis.ParseURL(c.URL)
	if err != nil {
		return o, errors.New("redis: the url has a database that is no number, or a path too many") // its own error repeats the password
	}
	if u, err := url.Parse(c.URL); err == nil {
		o.Sentinel.Username, o.Sentinel.Password = u.Query().Get("sentinel_username"), u.Query().Get("sentinel_password")
	}
	if o.TLSConfig != nil {
		o.TLSConfig.ServerName = "" // that of each host, not of the first
	}
	o.Sentinel.TopologyRefreshInterval, o.ClusterOption.ShardsRefreshInterval = refresh, refresh
	o.DisableCache = true // CLIENT TRACKING is not everywhere
	o.ClientName = c.Node
	o.ClientSetInfo = rueidis.DisableClientSetInfo // Redis 7.0 has no CLIENT SETINFO
	o.Dialer.Timeout = patience
	o.Dialer.KeepAlive = time.Second
	o.ConnWriteTimeout = patience
	return o, nil
}

// CheckURL tells what is wrong with [Config.URL], without repeating it: it may hold a
// password.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	var known bool
	switch {
	case err != nil:
	case u.Scheme == "unix":
		known = u.Path != ""
	default:
		known = slices.Contains([]string{"redis", "rediss", "valkey", "valkeys"}, u.Scheme) && u.Host != ""
	}
	if !known {
		return errors.New("it is not redis://, rediss://, valkey://, valkeys:// or unix:// with a host")
	}
	for key := range u.Query() {
		if !slices.Contains([]string{"addr", "master_set", "sentinel_username", "sentinel_password", "skip_verify", "db"}, key) {
			return fmt.Errorf("its query has %q, which is none of addr, master_set, sentinel_username, sentinel_password, skip_verify, db", key)
		}
	}
	return nil
}
