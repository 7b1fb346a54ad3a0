package player

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
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

// voice is a test of one voice under way.
type voice struct {
	*stage
	cfg VoiceConfig
	r   *rand.Rand

	accepted []area.WorkID // by ask, read after it has ended
	kills    int
	deaths   []time.Time // of devices
}

// Voice has devices of one area announce without a pause while hub and devices are
// killed, and then looks at what each loudspeaker has played: two that sounded at
// once, orders without an end, orders that were played twice. It builds the
// programs, and blocks for as long as cfg says and a little more.
func Voice(ctx context.Context, cfg VoiceConfig) (figures []Figure, err error) {
	st, err := newStage(ctx, plan{under: cfg.Dir, devices: cfg.Devices, say: cfg.Say})
	if err != nil {
		return nil, err
	}
	defer st.stop()
	v := &voice{stage: st, cfg: cfg, r: rand.New(rand.NewPCG(cfg.Seed, 1))}
	if err := v.play(ctx); err != nil {
		return nil, err
	}
	return v.verdict(ctx)
}

// play orders and kills until the time is over.
func (v *voice) play(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, v.cfg.For)
	defer cancel()
	var tasks sync.WaitGroup
	tasks.Go(func() { v.ask(ctx) })
	err := v.kill(ctx)
	cancel()
	tasks.Wait()
	return err
}

// ask orders, a little faster than the area can speak. An order that may not have
// been heard is sent again under its id.
func (v *voice) ask(ctx context.Context) {
	for n := 0; wait(ctx, 700*time.Millisecond) == nil; n++ {
		id := area.WorkID(fmt.Sprintf("v-%d", n))
		to := map[string]string{"area": "north"}
		if n%3 != 0 {
			to = map[string]string{"location": fmt.Sprint(1 + n%v.cfg.Devices)}
		}
		body, _ := json.Marshal(map[string]any{"id": id, "to": to, "message": "Go", "expires": "10m"}) // texts and maps have JSON
		for ctx.Err() == nil {
			var o area.Order
			err := v.site.ask(ctx, http.MethodPost, "/orders", "application/json", body, &o)
			if err == nil || strings.Contains(err.Error(), string(area.CodeExists)) {
				v.accepted = append(v.accepted, id)
				break
			}
			v.cfg.Say("%s: %v", id, err) // the hub is away, most likely
			_ = wait(ctx, 200*time.Millisecond)
		}
	}
}

// kill kills the hub, or a device, with -9, and starts it again at once.
func (v *voice) kill(ctx context.Context) error {
	whole := context.WithoutCancel(ctx) // what is started outlives the time of the kills
	for wait(ctx, v.cfg.Every) == nil {
		v.kills++
		if v.cfg.Hub && (!v.cfg.Device || v.kills%2 == 0) {
			dead(v.site.hub)
			if err := v.startHub(whole); err != nil {
				return fmt.Errorf("the hub after kill %d: %w", v.kills, err)
			}
			continue
		}
		i := v.r.IntN(len(v.running))
		dead(v.running[i])
		v.deaths = append(v.deaths, time.Now())
		if err := v.startDevice(whole, i); err != nil {
			return fmt.Errorf("gate-%d after kill %d: %w", i+1, v.kills, err)
		}
	}
	return nil
}

// verdict waits until every order has its end, and judges.
func (v *voice) verdict(ctx context.Context) ([]Figure, error) {
	ends := map[area.OrderState]int{}
	lost, durations := 0, map[area.WorkID]time.Duration{}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, id := range v.accepted {
		var o area.Order
		err := poll(ctx, func() (bool, error) {
			err := v.site.ask(ctx, http.MethodGet, "/orders/"+string(id), "", nil, &o)
			return o.State.Ended(), err
		})
		if err != nil {
			v.cfg.Say("%s: %v", id, err)
			lost++
			continue
		}
		ends[o.State]++
		durations[id] = time.Duration(o.DurationMs) * time.Millisecond
	}
	var record proof.Verdict
	if err := v.site.ask(ctx, http.MethodGet, "/areas/north/proof?since=24h", "", nil, &record); err != nil {
		return nil, err
	}
	plays, sounds, err := v.plays()
	if err != nil {
		return nil, err
	}
	overlaps, longest := overlapping(plays)
	audible, most := overlapping(sounds)
	return []Figure{
		{Name: "orders accepted", Value: float64(len(v.accepted)), Unit: "orders"},
		{Name: "without an end", Value: float64(lost), Unit: "orders", Exact: true},
		{Name: "played", Value: float64(ends[area.OrderPlayed]), Unit: "orders", Beside: fmt.Sprint(ends)},
		{Name: "played whole twice", Value: float64(twice(plays, durations)), Unit: "orders", Exact: true},
		{Name: "kills", Value: float64(v.kills), Unit: "kills"},
		{Name: "plays on the recordings", Value: float64(len(plays)), Unit: "plays"},
		{Name: "overlaps on the recordings", Value: float64(overlaps), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("longest %s", longest)},
		{Name: "overlaps of the samples", Value: float64(audible), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("longest %s", most)},
		{Name: "overlaps by the hub's record", Value: float64(record.Overlaps + record.Intruders), Unit: "pairs", Exact: true, Beside: fmt.Sprintf("%d plays measured, %d not, %d gaps; record broken: %q", record.Measured, record.Unmeasured, record.Gaps, record.Broken)},
		{Name: "silence after a device's death, longest", Value: v.silence(plays).Seconds(), Unit: "s"},
	}, nil
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
func (v *voice) silence(plays []heard.Play) (longest time.Duration) {
	const last = 100 * time.Millisecond // may be missing at the end of a recording that was cut
	for _, death := range v.deaths {
		for i := len(plays) - 2; i >= 0; i-- {
			if p := plays[i]; p.From.Before(death) && p.To.Sub(death).Abs() <= last {
				longest = max(longest, plays[i+1].From.Sub(death))
				break
			}
		}
	}
	return longest
}
