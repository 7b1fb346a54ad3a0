package redis

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Config says where the server is, and how the nodes speak over it. The zero value
// of all but URL and Node is its default.
type Config struct {
	// URL is redis://, rediss://, valkey:// or unix://, with user, password and
	// database where there are some; addr=HOST:PORT in its query names more nodes of
	// a cluster. It may hold a password: it is never logged.
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

func (c Config) option() (rueidis.ClientOption, error) {
	o, err := rueidis.ParseURL(c.URL)
	if err != nil {
		return o, errors.New("redis: the url is not redis://, rediss://, valkey:// or unix:// with a host") // its own error repeats the password
	}
	o.DisableCache = true // CLIENT TRACKING is not everywhere
	o.ClientName = c.Node
	o.Dialer.Timeout = patience
	o.Dialer.KeepAlive = time.Second
	o.ConnWriteTimeout = patience
	return o, nil
}
