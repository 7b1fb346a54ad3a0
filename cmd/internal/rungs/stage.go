//go:build linux

package rungs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
	"github.com/tacet-hub/tacet/drivers/media"
)

// stage is a hub outside and two guests in one area, each with a device: gate-1
// and gate-2, of which each has a tone of its own.
type stage struct {
	hub     *Hub
	control *Control
	gates   [2]*gate
}

// gate is one guest.
type gate struct {
	name   string
	hz     float64
	clip   string // the word by which an order names its tone
	m      *Machine
	p      *Puppet
	played int // sounds that were judged
}

// pause is the silence that parts two sounds of a recording: shorter than what
// is between two turns, longer than a gap of a machine that is busy.
const pause = 60 * time.Millisecond

// tones differ by no simple ratio.
var tones = [2]float64{587.33, 880}

// deviceYAML is the configuration of a device in a guest, but for its pins.
const deviceYAML = `device: %[1]s
hub: [%[2]s]
area: north
location: %[3]q
username: %[1]s
password_file: /etc/tacet/secret
audio: {output: alsa, card: "hw:Loopback,0", volume: 100}
data: /tmp/tacet
`

// newStage starts hub and guests and has the devices come. pins are lines of the
// configuration; start starts a guest.
func newStage(ctx context.Context, s *Site, arch, pins string, start func(Guest) (*Machine, error)) (st *stage, err error) {
	st = &stage{}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	var programs [4]string
	for i, p := range []struct{ pkg, arch string }{{"cmd/tacet", hostArch}, {"cmd/tacet-device", arch}, {"cmd/internal/rungs/probe", arch}, {"cmd/tacet-leader", arch}} {
		if programs[i], err = s.program(ctx, p.pkg, p.arch); err != nil {
			return st, err
		}
	}
	dir, err := s.dir("hub")
	if err != nil {
		return st, err
	}
	if st.hub, err = StartHub(ctx, programs[0], dir, shortLease); err != nil {
		return st, err
	}
	if st.control, err = Listen(); err != nil {
		return st, err
	}
	for i := range st.gates {
		g := &gate{name: fmt.Sprintf("gate-%d", i+1), hz: tones[i]}
		st.gates[i] = g
		if g.clip, err = st.hub.Clip(ctx, media.EncodeWAV(media.Tone(g.hz, 1500*time.Millisecond))); err != nil {
			return st, err
		}
		secret, err := st.hub.Secret(ctx, g.name)
		if err != nil {
			return st, err
		}
		g.m, err = start(Guest{Name: g.name, Init: programs[2], Files: map[string]string{"/bin/tacet-device": programs[1], "/bin/tacet-leader": programs[3]},
			Texts: map[string]string{"/etc/tacet/secret": secret, "/etc/tacet/device.yaml": fmt.Sprintf(deviceYAML, g.name, st.hub.Guest(), fmt.Sprint(i+1)) + pins},
			Env:   map[string]string{"HW_CONTROL": st.control.Addr(), "HW_NAME": g.name}})
		if err != nil {
			return st, err
		}
	}
	for _, g := range st.gates {
		if g.p, err = st.control.Await(ctx, g.name); err != nil {
			return st, fmt.Errorf("%w: %s", err, tail(g.m.Said(), 2000))
		}
		if _, err = g.p.Do(ctx, "start"); err != nil {
			return st, err
		}
	}
	return st, nil
}

// close ends everything.
func (st *stage) close() {
	for _, g := range st.gates {
		if g != nil && g.m != nil {
			g.m.Kill()
		}
	}
	if st.control != nil {
		st.control.Close()
	}
	if st.hub != nil && st.hub.m != nil {
		st.hub.Kill()
	}
}

// online waits for both devices.
func (st *stage) online(ctx context.Context) error {
	for _, g := range st.gates {
		if err := st.hub.Online(ctx, g.name); err != nil {
			return fmt.Errorf("%w: %s", err, tail(g.m.Said(), 2000))
		}
	}
	return nil
}

// order has a gate play its tone.
func (st *stage) order(ctx context.Context, g *gate, more string) (Order, error) {
	return st.hub.Announce(ctx, fmt.Sprintf(`{"to": {"device": %q}, "clip": %q, "expires": "60s"%s}`, g.name, g.clip, more))
}

// cutTries is how often a gate is ordered to play again when its sound was cut
// off, because a machine that is much too busy did not let it renew its lease.
const cutTries = 3

// played waits for an order of a gate, and orders again where it was cut off;
// again is how often.
func (st *stage) played(ctx context.Context, g *gate, o Order) (again int, err error) {
	for {
		o, err = st.hub.Ended(ctx, o.ID)
		switch {
		case err != nil:
			return again, err
		case o.State == "played":
			return again, nil
		case o.Reason != "cut" || again == cutTries:
			return again, st.told(fmt.Errorf("the order ended %s: %s", o.State, o.Reason))
		}
		again++
		if o, err = st.order(ctx, g, ""); err != nil {
			return again, err
		}
	}
}

// sound is a sound of a gate on our clock.
type sound struct {
	gate     string
	from, to time.Time
	hz       float64
	breaks   int
}

// sounds are those of a gate that were not judged yet.
func (g *gate) sounds() []sound {
	tr, began := g.p.Trace()
	spans := tr.Sounds(pause)
	var out []sound
	for _, s := range spans[min(g.played, len(spans)):] {
		out = append(out, sound{g.name, began.Add(s.Begin()), began.Add(s.End()), scope.Steady(tr.Of(s), g.hz), scope.Breaks(tr.Of(s), g.hz)})
	}
	g.played = len(spans)
	return out
}

// turns orders twice of each gate at once and judges the recordings of both.
func (st *stage) turns(ctx context.Context) (string, error) {
	var orders []Order
	for i := range 4 {
		o, err := st.order(ctx, st.gates[i%2], "")
		if err != nil {
			return "", err
		}
		orders = append(orders, o)
	}
	cut := 0
	for i, o := range orders {
		again, err := st.played(ctx, st.gates[i%2], o)
		if cut += again; err != nil {
			return "", err
		}
	}
	var all []sound
	for _, g := range st.gates {
		if err := st.silence(ctx, g); err != nil {
			return "", err
		}
		own := g.sounds()
		for _, s := range own {
			if math.Abs(s.hz-g.hz) > 0.5 {
				return "", fmt.Errorf("%s sounded at %.2f Hz, want %.2f", g.name, s.hz, g.hz)
			}
		}
		if len(own) < 2 {
			return "", fmt.Errorf("%s sounded %d times, want 2", g.name, len(own))
		}
		all = append(all, own...)
	}
	text, err := between(all)
	return fmt.Sprintf("%s, %d cut off", text, cut), err
}

// silence waits until a gate has been silent for longer than a pause, and the
// recording is as far as now.
func (st *stage) silence(ctx context.Context, g *gate) error {
	if _, err := g.p.Now(ctx); err != nil {
		return err
	}
	return g.p.Until(ctx, "silence", func(tr *scope.Trace) bool { return tr.Silent() > 3*pause })
}

// between tells what was between the sounds of different gates: none may begin
// before the one before has ended, but for what the recordings are exact to.
func between(all []sound) (string, error) {
	const exact = 25 * time.Millisecond
	slices.SortFunc(all, func(a, b sound) int { return a.from.Compare(b.from) })
	least, most, hand, breaks := time.Hour, time.Duration(0), 0, 0
	for i, s := range all {
		breaks += s.breaks
		if i == 0 || all[i-1].gate == s.gate {
			continue
		}
		d := s.from.Sub(all[i-1].to)
		if d < -exact {
			return "", fmt.Errorf("%s began %v before %s had ended", s.gate, -d, all[i-1].gate)
		}
		least, most, hand = min(least, d), max(most, d), hand+1
	}
	if hand == 0 {
		return "", errors.New("the gates did not take turns")
	}
	return fmt.Sprintf("%d sounds, %d hand-overs with %.0f to %.0f ms of silence, each gate at its own frequency, %d breaks", len(all), hand, ms(least), ms(most), breaks), nil
}

// sounding waits until a gate that was silent sounds.
func (st *stage) sounding(ctx context.Context, g *gate) error {
	return g.p.Until(ctx, "sound", func(tr *scope.Trace) bool { return tr.Silent() < pause/2 })
}

// told adds to an error what hub and guests said.
func (st *stage) told(err error) error {
	for _, g := range st.gates {
		err = fmt.Errorf("%w | %s: %s", err, g.name, tail(g.m.Said(), 700))
	}
	return fmt.Errorf("%w | hub: %s", err, tail(st.hub.Said(), 700))
}

// play has a gate play alone and tells how long it took from the order to the
// first sample.
func (st *stage) play(ctx context.Context, g *gate) (string, error) {
	before := time.Now()
	o, err := st.order(ctx, g, "")
	if err != nil {
		return "", err
	}
	if _, err := st.played(ctx, g, o); err != nil {
		return "", err
	}
	if err := st.silence(ctx, g); err != nil {
		return "", err
	}
	own := g.sounds()
	if len(own) == 0 || math.Abs(own[0].hz-g.hz) > 0.5 {
		return "", fmt.Errorf("%s: %+v, want a sound of %.2f Hz", g.name, own, g.hz)
	}
	return fmt.Sprintf("%.2f Hz, %.0f ms from order to first sample, %d breaks", own[0].hz, ms(own[0].from.Sub(before)), own[0].breaks), nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// prefixed writes a line whose name begins with that of a stage.
func prefixed(sheet *proof.Sheet, prefix, name, detail string, err error) bool {
	sheet.Check(prefix+"."+name, detail, err)
	return err == nil
}
