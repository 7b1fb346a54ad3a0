package player

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/heard"
)

// plan is what is put on a stage.
type plan struct {
	under   string // directory in which it makes its own
	devices int    // gate-1 at location 1 and so on
	area    string // more keys of the area
	device  string // lines of every device.yaml
	log     string // level of the devices; empty: error
	say     func(format string, args ...any)
}

// stage is a hub and devices of one area, which may be killed and started anew.
// Where they are stays the same.
type stage struct {
	plan
	dir  string // of everything
	site *site

	running []*process // the devices
	starts  []int      // of each device
}

// newStage builds the programs and starts the hub and the devices. It must be
// stopped.
func newStage(ctx context.Context, p plan) (*stage, error) {
	dir, err := os.MkdirTemp(p.under, "tacet-bench-")
	if err != nil {
		return nil, err
	}
	s := &stage{plan: p, dir: dir, site: &site{dir: dir, client: &http.Client{Timeout: patience}}, running: make([]*process, p.devices), starts: make([]int, p.devices)}
	if err := s.open(ctx); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *stage) open(ctx context.Context) error {
	s.say("building")
	for _, name := range []string{"tacet", "tacet-device", "tacet-leader"} {
		if err := build(ctx, "./cmd/"+name, s.file(name)); err != nil {
			return err
		}
	}
	for at, scheme := range map[*string]string{&s.site.web: "http://", &s.site.mqtt: "mqtt://"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*at = scheme + l.Addr().String()
		_ = l.Close()
	}
	if err := os.WriteFile(s.file("tacet.yaml"), []byte("areas: [{id: north"+s.area+"}]\n"), 0o600); err != nil {
		return err
	}
	if err := s.startHub(ctx); err != nil {
		return err
	}
	for i := range s.running {
		if err := s.startDevice(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) file(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) startHub(ctx context.Context) (err error) {
	s.site.hub, _, err = start(ctx, nil, "ready ", s.file("tacet"), "serve", "--config", s.file("tacet.yaml"), "--data", s.file("hub"),
		"--http", strings.TrimPrefix(s.site.web, "http://"), "--mqtt", strings.TrimPrefix(s.site.mqtt, "mqtt://"), "--log-level", "error")
	return err
}

func (s *stage) startDevice(ctx context.Context, i int) (err error) {
	id := string(device(i))
	text := fmt.Sprintf("device: %s\nhub: [%q]\narea: north\nlocation: %q\ndata: %s\n%s", id, s.site.mqtt, fmt.Sprint(i+1), s.file(id), s.device)
	if err := os.WriteFile(s.file(id+".yaml"), []byte(text), 0o600); err != nil {
		return err
	}
	s.starts[i]++
	s.running[i], _, err = start(ctx, nil, "ready ", s.file("tacet-device"), "run", "--sim", "--config", s.file(id+".yaml"),
		"--log-level", cmp.Or(s.log, "error"), "--wav", s.wav(i, s.starts[i]))
	return err
}

func device(i int) area.DeviceID { return area.DeviceID(fmt.Sprintf("gate-%d", i+1)) }

// wav is what a start of a device records.
func (s *stage) wav(i, start int) string { return s.file(fmt.Sprintf("%s-%04d.wav", device(i), start)) }

// stop ends everything and removes it.
func (s *stage) stop() {
	for _, p := range append(s.running, s.site.hub) {
		if p != nil {
			p.stop()
		}
	}
	_ = os.RemoveAll(s.dir)
}

func dead(p *process) {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// plays reads what every start of every device has recorded, in order: by the
// lists, and by the samples.
func (s *stage) plays() (listed, sounded []heard.Play, err error) {
	for i := range s.running {
		for n := 1; n <= s.starts[i]; n++ {
			list, err1 := heard.List(s.wav(i, n), device(i))
			sounds, err2 := heard.Sounds(s.wav(i, n), device(i))
			if err := errors.Join(err1, err2); errors.Is(err, os.ErrNotExist) {
				continue // killed before it began to record
			} else if err != nil {
				return nil, nil, err
			}
			listed, sounded = append(listed, list...), append(sounded, sounds...)
		}
	}
	heard.Sort(listed)
	return listed, sounded, nil
}

// overlapping counts pairs of plays of two devices that sounded at once.
func overlapping(plays []heard.Play) (n int, longest time.Duration) {
	for _, o := range heard.Overlaps(plays) {
		n, longest = n+1, max(longest, o.For)
	}
	return n, longest
}
