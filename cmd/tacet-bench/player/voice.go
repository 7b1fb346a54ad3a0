package player

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/proof"
	"github.com/tacet-hub/tacet/cmd/internal/heard"
)

// VoiceConfig says how one voice is put to the test.
type VoiceConfig struct {
	Dir     string        // where a directory of its own is made; it must exist
	For     time.Duration // how long orders come and programs are killed
	Every   time.Duration // between two kills: longer than the area settles
	Devices int           // of the one area
	Hub     bool          // kill the hub
	Device  bool          // kill a device
	Seed    uint64        // of who is killed
	Say     func(format string, args ...any)
}

// stage is a hub, devices of one area and what was asked of them.
type stage struct {
	cfg      VoiceConfig
	programs string
	site     *site
	http     string // where the hub listens, always
	r        *rand.Rand

	devices []*process
	starts  []int // of each device

	accepted []area.WorkID // by ask, read after it has ended
	kills    int
	deaths   []time.Time // of devices
}

// Voice has devices of one area announce without a pause while hub and devices are
// killed, and then looks at what each loudspeaker has played: two that sounded at
// once, orders without an end, orders that were played twice. It builds the
// programs, and blocks for as long as cfg says and a little more.
func Voice(ctx context.Context, cfg VoiceConfig) (figures []Figure, err error) {
	dir, err := os.MkdirTemp(cfg.Dir, "tacet-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cfg.Say("building")
	for _, name := range []string{"tacet", "tacet-device"} {
		if err := build(ctx, "./cmd/"+name, filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	s := &stage{cfg: cfg, programs: dir, r: rand.New(rand.NewPCG(cfg.Seed, 1)), devices: make([]*process, cfg.Devices), starts: make([]int, cfg.Devices)}
	defer s.stop()
	if err := s.open(ctx, dir); err != nil {
		return nil, err
	}
	if err := s.play(ctx); err != nil {
		return nil, err
	}
	return s.verdict(ctx)
}

// open starts everything, on ports that stay the same.
func (s *stage) open(ctx context.Context, dir string) error {
	s.site = &site{dir: dir, client: &http.Client{Timeout: patience}}
	var mqtt string
	for _, at := range []*string{&s.http, &mqtt} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*at = l.Addr().String()
		_ = l.Close()
	}
	s.site.web, s.site.mqtt = "http://"+s.http, "mqtt://"+mqtt
	if err := os.WriteFile(filepath.Join(dir, "tacet.yaml"), []byte("areas: [{id: north}]\n"), 0o600); err != nil {
		return err
	}
	if err := s.startHub(ctx, mqtt); err != nil {
		return err
	}
	for i := range s.devices {
		if err := s.startDevice(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) startHub(ctx context.Context, mqtt string) (err error) {
	s.site.hub, _, err = start(ctx, nil, "ready ", filepath.Join(s.programs, "tacet"), "serve", "--config", filepath.Join(s.site.dir, "tacet.yaml"),
		"--data", filepath.Join(s.site.dir, "hub"), "--http", s.http, "--mqtt", mqtt, "--log-level", "error")
	return err
}

func (s *stage) startDevice(ctx context.Context, i int) (err error) {
	id := string(device(i))
	s.starts[i]++
	s.devices[i], _, err = start(ctx, nil, "ready ", filepath.Join(s.programs, "tacet-device"), "run", "--sim", "--hub", s.site.mqtt, "--device", id, "--area", "north",
		"--location", fmt.Sprint(i+1), "--data", filepath.Join(s.site.dir, id), "--log-level", "error", "--wav", s.wav(i, s.starts[i]))
	return err
}

func device(i int) area.DeviceID { return area.DeviceID(fmt.Sprintf("gate-%d", i+1)) }

// wav is what a start of a device records.
func (s *stage) wav(i, start int) string {
	return filepath.Join(s.site.dir, fmt.Sprintf("%s-%04d.wav", device(i), start))
}

func (s *stage) stop() {
	for _, p := range s.devices {
		if p != nil {
			p.stop()
		}
	}
	if s.site != nil && s.site.hub != nil {
		s.site.hub.stop()
	}
}

// play orders and kills until the time is over.
func (s *stage) play(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.For)
	defer cancel()
	var tasks sync.WaitGroup
	tasks.Go(func() { s.ask(ctx) })
	err := s.kill(ctx)
	cancel()
	tasks.Wait()
	return err
}

// ask orders, a little faster than the area can speak. An order that may not have
// been heard is sent again under its id.
func (s *stage) ask(ctx context.Context) {
	for n := 0; wait(ctx, 700*time.Millisecond) == nil; n++ {
		id := area.WorkID(fmt.Sprintf("v-%d", n))
		to := map[string]string{"area": "north"}
		if n%3 != 0 {
			to = map[string]string{"location": fmt.Sprint(1 + n%s.cfg.Devices)}
		}
		body, _ := json.Marshal(map[string]any{"id": id, "to": to, "message": "Go", "expires": "10m"}) // texts and maps have JSON
		for ctx.Err() == nil {
			var o area.Order
			err := s.site.ask(ctx, http.MethodPost, "/orders", "application/json", body, &o)
			if err == nil || strings.Contains(err.Error(), string(area.CodeExists)) {
				s.accepted = append(s.accepted, id)
				break
			}
			s.cfg.Say("%s: %v", id, err) // the hub is away, most likely
			_ = wait(ctx, 200*time.Millisecond)
		}
	}
}

// kill kills the hub, or a device, with -9, and starts it again at once.
func (s *stage) kill(ctx context.Context) error {
	whole := context.WithoutCancel(ctx) // what is started outlives the time of the kills
	for wait(ctx, s.cfg.Every) == nil {
		s.kills++
		if s.cfg.Hub && (!s.cfg.Device || s.kills%2 == 0) {
			dead(s.site.hub)
			if err := s.startHub(whole, s.site.mqtt[len("mqtt://"):]); err != nil {
				return fmt.Errorf("the hub after kill %d: %w", s.kills, err)
			}
			continue
		}
		i := s.r.IntN(len(s.devices))
		dead(s.devices[i])
		s.deaths = append(s.deaths, time.Now())
		if err := s.startDevice(whole, i); err != nil {
			return fmt.Errorf("gate-%d after kill %d: %w", i+1, s.kills, err)
		}
	}
	return nil
}

func dead(p *process) {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// verdict waits until every order has its end, and judges.
func (s *stage) verdict(ctx context.Context) ([]Figure, error) {
	ends := map[area.OrderState]int{}
	lost, durations := 0, map[area.WorkID]time.Duration{}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, id := range s.accepted {
		var o area.Order
		err := poll(ctx, func() (bool, error) {
			err := s.site.ask(ctx, http.MethodGet, "/orders/"+string(id), "", nil, &o)
			return o.State.Ended(), err
		})
		if err != nil {
			s.cfg.Say("%s: %v", id, err)
			lost++
			continue
		}
		ends[o.State]++
		durations[id] = time.Duration(o.DurationMs) * time.Millisecond
	}
	var v proof.Verdict
	if err := s.site.ask(ctx, http.MethodGet, "/areas/north/proof?since=24h", "", nil, &v); err != nil {
		return nil, err
	}
	plays, sounds, err := s.plays()
	if err != nil {
		return nil, err
	}
	overlaps, longest := overlapping(plays)
	audible, most := overlapping(sounds)
	return []Figure{
		{Name: "orders accepted", Value: float64(len(s.accepted)), Unit: "orders"},
		{Name: "without an end", Value: float64(lost), Unit: "orders", Exact: true},
		{Name: "played", Value: float64(ends[area.OrderPlayed]), Unit: "orders", Beside: fmt.Sprint(ends)},
		{Name: "played whole twice", Value: float64(twice(plays, durations)), Unit: "orders", Exact: true},
		{Name: "kills", Value: float64(s.kills), Unit: "kills"},
		{Name: "plays on the recordings", Value: float64(len(plays)), Unit: "plays"},
		{Name: "overlaps on the recordings", Value: float64(overlaps), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("longest %s", longest)},
		{Name: "overlaps of the samples", Value: float64(audible), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("longest %s", most)},
		{Name: "overlaps by the hub's record", Value: float64(v.Overlaps + v.Intruders), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("%d plays measured, %d not, %d gaps; record broken: %q", v.Measured, v.Unmeasured, v.Gaps, v.Broken)},
		{Name: "silence after a device's death, longest", Value: s.silence(plays).Seconds(), Unit: "s"},
	}, nil
}

// plays reads what every start of every device has recorded, in order: by the
// lists, and by the samples.
func (s *stage) plays() (listed, sounded []heard.Play, err error) {
	for i := range s.devices {
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

// twice counts works of which more than one play was whole.
func twice(plays []heard.Play, lengths map[area.WorkID]time.Duration) (n int) {
	for _, times := range heard.Whole(plays, lengths) {
		if times > 1 {
			n++
		}
	}
	return n
}

// silence is how long it took after a device was killed in the middle of a play
// until the next one began.
func (s *stage) silence(plays []heard.Play) (longest time.Duration) {
	const last = 100 * time.Millisecond // may be missing at the end of a recording that was cut
	for _, death := range s.deaths {
		for i := len(plays) - 2; i >= 0; i-- {
			if p := plays[i]; p.From.Before(death) && p.To.Sub(death).Abs() <= last {
				longest = max(longest, plays[i+1].From.Sub(death))
				break
			}
		}
	}
	return longest
}
