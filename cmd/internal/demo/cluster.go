package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// Bounds of the nodes of a cluster.
const (
	LeastNodes = 2
	MostNodes  = 8
)

// startTime is how long a part of the cluster may take to answer.
const startTime = time.Minute

// Cluster says how the simulated site runs on several nodes.
type Cluster struct {
	Options
	Nodes   int    // LeastNodes to MostNodes
	Program string // tacet; its serve is a node
}

// member is a node of the cluster.
type member struct {
	name, http, admin, mqtt string // addresses: host:port
	data, file              string
}

// RunCluster is the simulated site on several nodes until ctx ends: a redis-server,
// so many tacet serve, an nginx before them, and the devices, which are in this
// process. Whatever of it dies is started again. cfg is as that of [Run]: its
// addresses are the balancer's and the first node's, the others follow; with port 0
// any are taken. With cfg.Redis.URL that server is used. It writes to out where to
// look, and what dies and comes back. Its error says what is missing, or what could
// not be started.
func RunCluster(ctx context.Context, cfg conf.Config, opt Cluster, log *slog.Logger, out io.Writer) (err error) {
	redis, nginx, err := programs(cfg.Redis.URL == "")
	if err != nil {
		return err
	}
	front, members, err := plan(cfg, opt.Nodes)
	if err != nil {
		return err
	}
	if err := free(front, members); err != nil {
		return err
	}
	speaker, err := speakerOf(cfg.Speech, log)
	if err != nil {
		return err
	}
	c := &cluster{opt: opt, dir: cfg.Data, front: front, members: members, said: &lines{to: out}}
	c.broken, c.fail = context.WithCancel(context.Background())
	defer c.fail()
	defer func() {
		ended := c.end()
		if err == errBroken && ended != nil {
			err = nil // the other says why
		}
		err = errors.Join(err, ended)
	}()
	url := cfg.Redis.URL
	if url == "" {
		if url, err = c.startRedis(ctx, redis); err != nil {
			return err
		}
	}
	if err := c.startNodes(ctx, url); err != nil {
		return err
	}
	if err := c.startBalancer(ctx, nginx); err != nil {
		return err
	}
	s := site{opt: opt.Options, data: cfg.Data, speaker: speaker, hub: "http://" + front, log: log}
	for _, m := range members {
		s.brokers = append(s.brokers, "mqtt://"+m.mqtt)
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	group, work := errgroup.WithContext(work)
	if err := s.start(work, group); err != nil {
		stop()
		return errors.Join(err, group.Wait())
	}
	c.said.print(c.welcome())
	select {
	case <-work.Done():
	case <-c.broken.Done():
		stop()
	}
	return group.Wait()
}

// programs finds the programs that are not ours.
func programs(server bool) (redis, nginx string, err error) {
	find := func(name, elsewhere string) string {
		if path, e := lookPath(name, elsewhere); e == nil {
			return path
		}
		err = errors.Join(err, fmt.Errorf("demo: %s is not here; of Debian it is the package %s", name, name))
		return ""
	}
	if server {
		redis = find("redis-server", "/usr/bin/redis-server")
	}
	nginx = find("nginx", "/usr/sbin/nginx")
	return redis, nginx, err
}

// plan gives every part its address.
func plan(cfg conf.Config, n int) (front string, members []member, err error) {
	if n < LeastNodes || n > MostNodes {
		return "", nil, fmt.Errorf("demo: %d nodes are not %d to %d", n, LeastNodes, MostNodes)
	}
	web, err1 := ports(cfg.HTTP.Addr, n+1)
	admin, err2 := ports(cfg.HTTP.AdminAddr, n)
	mqtt, err3 := ports(cfg.MQTT.Addr, n)
	if err := errors.Join(err1, err2, err3); err != nil {
		return "", nil, err
	}
	for i := range n {
		name := fmt.Sprintf("hub-%d", i+1)
		members = append(members, member{name: name, http: web[i+1], admin: admin[i], mqtt: mqtt[i],
			data: filepath.Join(cfg.Data, name), file: filepath.Join(cfg.Data, name+".yaml")})
	}
	return web[0], members, nil
}

// ports is n addresses, from the one that is given upwards, or any that are free where
// its port is 0.
func ports(first string, n int) (list []string, err error) {
	host, text, err := net.SplitHostPort(first)
	if err != nil {
		return nil, err
	}
	port, err := strconv.Atoi(text)
	if err != nil || port+n > 1<<16 {
		return nil, fmt.Errorf("demo: %s is no address with a port, and %d after it", first, n)
	}
	for i := range n {
		if port == 0 {
			l, err := net.Listen("tcp", first)
			if err != nil {
				return nil, err
			}
			defer l.Close() // all at once, so that they are different ones
			list = append(list, l.Addr().String())
			continue
		}
		list = append(list, net.JoinHostPort(host, strconv.Itoa(port+i)))
	}
	return list, nil
}

// free tells whether nobody has the addresses: devices of this site would go to a hub
// that is there already, under the names that its own devices have.
func free(front string, members []member) (err error) {
	list := []string{front}
	for _, m := range members {
		list = append(list, m.http, m.admin, m.mqtt)
	}
	for _, addr := range list {
		l, e := net.Listen("tcp", addr)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("demo: %w (--http, --mqtt and TACET_HTTP_ADMIN_ADDR choose where the addresses begin)", e))
			continue
		}
		_ = l.Close()
	}
	return err
}

// cluster is what runs beside the devices.
type cluster struct {
	opt     Cluster
	dir     string
	front   string
	members []member
	said    *lines

	broken context.Context // ends when one of what was started cannot be kept up
	fail   context.CancelFunc
	nodes  []*child
	crews  []*crew // in the order of their start
}

// end ends all, the newest first.
func (c *cluster) end() (err error) {
	for i := len(c.crews) - 1; i >= 0; i-- {
		err = errors.Join(err, c.crews[i].end())
	}
	return err
}

// start keeps programs up until end, apart from ctx: they end in their order.
func (c *cluster) start(ctx context.Context, list ...*child) {
	c.crews = append(c.crews, newCrew(context.WithoutCancel(ctx), c.fail, list...))
}

func (c *cluster) child(name, program string, pause time.Duration, args ...string) *child {
	return &child{name: name, program: program, args: args, pause: pause, log: filepath.Join(c.dir, name+".log"), said: c.said, must: true}
}

func (c *cluster) startRedis(ctx context.Context, program string) (url string, err error) {
	dir := filepath.Join(c.dir, "redis")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	socket := filepath.Join(dir, "s")
	if len(socket) > 100 { // a socket's path has at most 107 bytes
		return "", fmt.Errorf("demo: %s is too long for a data directory of a cluster", c.dir)
	}
	server := c.child("redis", program, time.Second, "--port", "0", "--unixsocket", socket, "--dir", dir, "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction")
	c.start(ctx, server)
	return "unix://" + socket, c.until(ctx, server, func() bool {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// nodePause is how long a node stays away that has died: long enough for the others
// to take its areas, and for the dashboard to show it.
const nodePause = 12 * time.Second

func (c *cluster) startNodes(ctx context.Context, redis string) error {
	for _, m := range c.members {
		if err := writeSite(m, redis); err != nil {
			return err
		}
		c.nodes = append(c.nodes, c.child(m.name, c.opt.Program, nodePause, "serve", "--config", m.file))
	}
	c.start(ctx, c.nodes...)
	for i, m := range c.members {
		if err := c.until(ctx, c.nodes[i], func() bool { return answers("http://" + m.http) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) startBalancer(ctx context.Context, program string) error {
	file := filepath.Join(c.dir, "nginx.conf")
	if err := writeBalancer(file, c.dir, c.front, c.members); err != nil {
		return err
	}
	nginx := c.child("nginx", program, time.Second, "-p", c.dir, "-c", file, "-e", "stderr")
	c.start(ctx, nginx)
	return c.until(ctx, nginx, func() bool { return answers("http://" + c.front) })
}

// errBroken is that something does not start or stay; its child says what, and why.
var errBroken = errors.New("demo: the nodes could not be started")

// until waits for a part that was started to answer.
func (c *cluster) until(ctx context.Context, part *child, fits func() bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("demo: %s does not answer; see %s", part.name, part.log))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !fits() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.broken.Done():
			return errBroken
		case <-tick.C:
		}
	}
	part.up.Store(true)
	return nil
}

// answers tells whether a hub answers there.
func answers(url string) bool {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get(url + "/healthz")
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// welcome says where to look, and what to try.
func (c *cluster) welcome() string {
	first := c.members[0]
	text := fmt.Sprintf("ready http=http://%s mqtt=mqtt://%s node=%s\n\n  dashboard   http://%s (nginx, before all nodes)\n", c.front, first.mqtt, first.name, c.front)
	for i, m := range c.members {
		text += fmt.Sprintf("  %-11s http://%s mqtt://%s process %d\n", m.name, m.http, m.mqtt, c.nodes[i].pid.Load())
	}
	return text + fmt.Sprintf(`
  nodes       go run ./cmd/tacet node list --url http://%[1]s
  kill one    kill -9 %[2]d     (it is started again in %[3]s; the other goes on)
  say it      go run ./cmd/tacet say --url http://%[1]s --area north --wait "Hello from the command line"
  data, logs  %[4]s

`, c.front, c.nodes[0].pid.Load(), nodePause, c.dir)
}
