package redistest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Cluster is servers that share the slots among them.
type Cluster struct {
	Nodes []*Server // first those that were made masters, then their replicas
	buses seats     // on which they speak with each other
}

// StartCluster runs a cluster of so many masters, each with so many replicas, and
// waits until all of them find it whole. A master that is silent for timeout is
// replaced. Each has more arguments where there are some.
func StartCluster(program string, masters, replicas int, timeout time.Duration, more ...string) (*Cluster, error) {
	c := &Cluster{}
	var addrs []string
	for range masters * (1 + replicas) {
		bus, err := c.buses.take()
		if err != nil {
			c.Close()
			return nil, err
		}
		args := append(slices.Clone(more), "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-node-timeout", strconv.FormatInt(timeout.Milliseconds(), 10),
			"--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0")
		s, err := Start(program, args...)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.Nodes = append(c.Nodes, s)
		addrs = append(addrs, s.Addr())
	}
	args := append([]string{"--cluster", "create"}, addrs...)
	args = append(args, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")
	if out, err := exec.Command("redis-cli", args...).CombinedOutput(); err != nil {
		c.Close()
		return nil, fmt.Errorf("redis-cli --cluster create: %w: %s", err, out)
	}
	if err := c.Whole(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Close ends all processes.
func (c *Cluster) Close() {
	for _, s := range c.Nodes {
		s.Close()
	}
	c.buses.leave()
}

// URL names the first server, and the others as its query does.
func (c *Cluster) URL() string {
	u := c.Nodes[0].TCP()
	for i, s := range c.Nodes[1:] {
		u += map[bool]string{true: "?", false: "&"}[i == 0] + "addr=" + s.Addr()
	}
	return u
}

// Whole waits until every server that answers finds that all slots are served, and
// that each replica has its master's data.
func (c *Cluster) Whole() error {
	return until("the cluster is whole", func() bool {
		for _, s := range c.Nodes {
			info, err := s.Do("CLUSTER", "INFO")
			if err != nil {
				continue
			}
			if !strings.Contains(info, "cluster_state:ok") || s.Role() == "slave" && !s.synced() {
				return false
			}
		}
		return true
	})
}

// Owner is the server that serves a key's slot; nil: none says so.
func (c *Cluster) Owner(key string) *Server {
	for _, s := range c.Nodes {
		if s.Role() != "master" {
			continue
		}
		if _, err := s.Do("GET", key); err == nil || strings.Contains(err.Error(), "WRONGTYPE") {
			return s
		}
	}
	return nil
}

// Role is master or slave; nothing of a server that does not answer.
func (s *Server) Role() string {
	info, _ := s.Do("INFO", "replication")
	return field(info, "role")
}

func (s *Server) synced() bool {
	info, err := s.Do("INFO", "replication")
	return err == nil && field(info, "master_link_status") == "up"
}

// field is the value of a line of INFO.
func field(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Info is one value of INFO, of a section.
func (s *Server) Info(section, name string) string {
	info, _ := s.Do("INFO", section)
	return field(info, name)
}

// Move gives the slot of a key from one master to another, as redis-cli --cluster
// reshard does.
func (c *Cluster) Move(key string, from, to *Server) error {
	slot, err := from.Do("CLUSTER", "KEYSLOT", key)
	if err != nil {
		return err
	}
	ids := map[*Server]string{}
	for _, s := range []*Server{from, to} {
		if ids[s], err = s.Do("CLUSTER", "MYID"); err != nil {
			return err
		}
	}
	_, e1 := to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[from])
	_, e2 := from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[to])
	if err := errors.Join(e1, e2); err != nil {
		return err
	}
	for {
		keys, err := from.Do("CLUSTER", "GETKEYSINSLOT", slot, "100")
		if err != nil {
			return err
		}
		list := strings.Fields(keys)
		if len(list) == 0 {
			break
		}
		if _, err := from.Do(append([]string{"MIGRATE", "127.0.0.1", strconv.Itoa(to.Port), "", "0", "5000", "KEYS"}, list...)...); err != nil {
			return err
		}
	}
	_, e1 = to.Do("CLUSTER", "SETSLOT", slot, "NODE", ids[to])
	_, e2 = from.Do("CLUSTER", "SETSLOT", slot, "NODE", ids[to])
	return errors.Join(e1, e2)
}

// Pair is a server, its replica, and a sentinel that promotes the replica when the
// server is silent.
type Pair struct {
	Master, Replica, Sentinel *Server
}

// masterSet is what the sentinel calls the pair.
const masterSet = "tacet"

// StartPair runs a pair; the server counts as dead after a silence of timeout.
func StartPair(program string, timeout time.Duration) (p *Pair, err error) {
	p = &Pair{}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.Master, err = Start(program, "--repl-diskless-sync-delay", "0"); err != nil {
		return p, err
	}
	if p.Replica, err = Start(program, "--repl-diskless-sync-delay", "0", "--replicaof", "127.0.0.1 "+strconv.Itoa(p.Master.Port)); err != nil {
		return p, err
	}
	if err = until("the replica has the server's data", p.Replica.synced); err != nil {
		return p, err
	}
	if p.Sentinel, err = startSentinel(program, p.Master.Port, timeout); err != nil {
		return p, err
	}
	return p, until("the sentinel knows the replica", func() bool {
		list, err := p.Sentinel.Do("SENTINEL", "REPLICAS", masterSet)
		return err == nil && strings.Contains(list, strconv.Itoa(p.Replica.Port))
	})
}

func startSentinel(program string, master int, timeout time.Duration) (*Server, error) {
	if program == "" {
		program = Program
	}
	dir, err := os.MkdirTemp("", "tacet-redis-")
	if err != nil {
		return nil, err
	}
	s := &Server{Dir: dir, program: program}
	if s.Port, err = s.seats.take(); err != nil {
		s.Close()
		return nil, err
	}
	conf := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nlogfile %s\nsentinel monitor %s 127.0.0.1 %d 1\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s 3000\n",
		s.Port, dir, filepath.Join(dir, "log"), masterSet, master, masterSet, timeout.Milliseconds(), masterSet)
	file := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(program, file, "--sentinel")
	if err := s.run(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// URL names the pair by its sentinel.
func (p *Pair) URL() string { return p.Sentinel.TCP() + "?master_set=" + masterSet }

// Promoted waits until the replica is the server.
func (p *Pair) Promoted() error {
	return until("the replica is promoted", func() bool { return p.Replica.Role() == "master" })
}

// Close ends all processes.
func (p *Pair) Close() {
	for _, s := range []*Server{p.Sentinel, p.Replica, p.Master} {
		if s != nil {
			s.Close()
		}
	}
}

// until waits for what is asked for again and again.
func until(what string, done func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
	}
	return nil
}
