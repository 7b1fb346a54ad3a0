//go:build linux

package rungs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
	"github.com/tacet-hub/tacet/cmd/internal/rungs/scope"
	"github.com/tacet-hub/tacet/drivers/media"
	"golang.org/x/sync/errgroup"
)

// rung5 is the SD card that a person writes, on an emulated Raspberry Pi 3B: the
// kernel of a Pi, our own first process, Ethernet and loudspeaker by USB.
var rung5 = Rung{
	Number: 5, Title: "raspi3b: the SD card's image, from its code to its sound", Limit: 15 * time.Minute,
	Lines: []string{"card.image", "card.boot", "card.joins", "card.sounds", "card.amp", "card.hub", "card.update", "card.again", "card.emulator"},
	needs: []need{{"qemu-system-aarch64", "qemu-system-arm"}, {"mcopy", "mtools"}, {"fdtput", "device-tree-compiler"}},
	climb: func(ctx context.Context, s *Site, sheet *proof.Sheet) error {
		return withCards(ctx, sheet, func(ctx context.Context, broken func(line string)) error {
			p, err := newPi(ctx, s)
			if err != nil {
				return err
			}
			defer p.close()
			p.broken = broken
			return p.climb(ctx, sheet)
		})
	},
}

const (
	piDevice = "gate-1"
	piTone   = 660.0
	// piLines is what a person adds to tacet.yaml: the pins, and the hub, which
	// listens on an address that means another machine to the guest.
	piLines = "gpio: {amp_enable: GPIO22, busy_lamp: GPIO17}\nhub: [%q]\nupdates: {keys: [%q]}\n"
)

// pi is a hub outside and a card that becomes a device of it.
type pi struct {
	tree    string // of the sources
	hub     *Hub
	code    string
	key     string // public, of updates
	card    Card
	clip    string
	m       *Machine
	monitor *Monitor
	broken  func(line string) // hears what QEMU's SD controller says when it fails
	starts  int
	program string // an update
}

func newPi(ctx context.Context, s *Site) (p *pi, err error) {
	p = &pi{tree: s.Tree}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	program, err := s.program(ctx, "cmd/tacet", hostArch)
	if err != nil {
		return p, err
	}
	dir, err := s.dir("hub")
	if err != nil {
		return p, err
	}
	if p.hub, err = StartHub(ctx, program, dir, usualLease); err != nil {
		return p, err
	}
	if p.clip, err = p.hub.Clip(ctx, media.EncodeWAV(media.Tone(piTone, 2*time.Second))); err != nil {
		return p, err
	}
	if p.code, err = p.hub.Code(ctx, piDevice); err != nil {
		return p, err
	}
	if p.key, err = p.hub.UpdateKey(ctx); err != nil {
		return p, err
	}
	p.card, err = NewCard(ctx, s, "--hub", p.hub.Web(), "--code", p.code, "--location", "1")
	return p, err
}

func (p *pi) close() {
	p.power(false)
	if p.hub != nil && p.hub.m != nil {
		p.hub.Kill()
	}
}

// power cuts the power, or gives it back.
func (p *pi) power(on bool) error {
	if p.m != nil {
		p.monitor.Close()
		p.m.Kill()
		p.m = nil
	}
	if !on {
		return nil
	}
	p.starts++
	var err error
	p.m, p.monitor, err = StartPi(context.Background(), p.card, p.wav()) // close ends it
	if err == nil {
		p.m.Alarm(p.broken, sdFaults...)
	}
	return err
}

// wav is the recording of this start.
func (p *pi) wav() string { return filepath.Join(p.card.dir, fmt.Sprintf("sound-%d.wav", p.starts)) }

// climb is the life of a card: it is written, edited, started, joins, sounds,
// loses its hub, gets another version, and loses its power.
func (p *pi) climb(ctx context.Context, sheet *proof.Sheet) error {
	next, building := errgroup.WithContext(ctx) // while the machine starts
	defer next.Wait()
	next.Go(func() error { return p.buildUpdate(building) })
	info, err := os.Stat(p.card.image)
	if err == nil {
		err = p.card.add(ctx, "tacet.yaml", fmt.Sprintf(piLines, p.hub.Guest(), p.key))
	}
	if err != nil {
		return err
	}
	sheet.OK("card.image", "%d MiB written by tacet-image, pins added to its tacet.yaml", info.Size()>>20)
	began := time.Now()
	if err := p.power(true); err != nil {
		return err
	}
	detail, err := p.boots(ctx)
	sheet.Check("card.boot", detail, err)
	if err != nil {
		return nil
	}
	detail, err = p.joins(ctx, began)
	sheet.Check("card.joins", detail, err)
	if err != nil {
		return nil
	}
	on, err := p.plays(ctx)
	detail = "GPIO22 high while the order played, low before and after, seen in the registers"
	sheet.Check("card.amp", detail, on)
	if err == nil {
		detail, err = p.heard()
	}
	sheet.Check("card.sounds", detail, err)
	detail, err = p.hubBack(ctx)
	sheet.Check("card.hub", detail, err)
	if err = next.Wait(); err == nil {
		detail, err = p.updated(ctx)
	}
	sheet.Check("card.update", detail, err)
	detail, err = p.again(ctx)
	sheet.Check("card.again", detail, err)
	return nil
}

// boots waits for our first process to have a network.
func (p *pi) boots(ctx context.Context) (string, error) {
	line, err := p.m.Await(ctx, "has the address")
	if err != nil {
		return "", err
	}
	_, line, _ = strings.Cut(line, "init: ")
	return line, nil
}

// joins waits for the hub to see the device, which has traded its code.
func (p *pi) joins(ctx context.Context, began time.Time) (string, error) {
	if err := p.hub.Online(ctx, piDevice); err != nil {
		return "", fmt.Errorf("%w: %s", err, tail(p.m.Said(), 3000))
	}
	took := time.Since(began)
	if err := p.hub.Spent(ctx, p.code); err != nil {
		return "", err
	}
	return fmt.Sprintf("at the hub %.1f s after QEMU's start, by its code, which is good for nothing now", took.Seconds()), nil
}

// plays orders the tone and looks at the pin of the amplifier meanwhile: on is
// what is wrong with it.
func (p *pi) plays(ctx context.Context) (on, err error) {
	if high, err := p.amplifier(ctx); err != nil || high {
		return fmt.Errorf("the amplifier is on before anything plays: %w", err), err
	}
	o, err := p.hub.Announce(ctx, fmt.Sprintf(`{"to": {"location": "1"}, "clip": %q, "expires": "120s"}`, p.clip))
	if err != nil {
		return err, err
	}
	on = p.until(ctx, true)
	if _, err := p.hub.Played(ctx, o.ID); err != nil {
		return on, fmt.Errorf("%w: %s", err, tail(p.m.Said(), 2000))
	}
	return errors.Join(on, p.until(ctx, false)), nil
}

// until waits for the amplifier's pin.
func (p *pi) until(ctx context.Context, on bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		high, err := p.amplifier(ctx)
		if err == nil && high == on {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("GPIO22 does not become %v in a minute", on), err)
		}
	}
}

// amplifier reads the level of GPIO22 in the processor's registers (GPLEV0, BCM2835
// ARM Peripherals, page 90).
func (p *pi) amplifier(ctx context.Context) (bool, error) {
	said, err := p.monitor.Do(ctx, "xp /1wx 0x3f200034")
	if err != nil {
		return false, err
	}
	_, word, _ := strings.Cut(said, ": ")
	levels, err := strconv.ParseUint(strings.TrimSpace(word), 0, 32)
	if err != nil {
		return false, fmt.Errorf("the monitor says %q: %w", said, err)
	}
	return levels&(1<<22) != 0, nil
}

// heard measures what QEMU has recorded. Its USB drops frames when it is slow:
// the frequency is exact, the length is not.
func (p *pi) heard() (string, error) {
	const least = 300 * time.Millisecond
	raw, err := os.ReadFile(p.wav())
	if err != nil {
		return "", err
	}
	const header = 44
	if len(raw) < header {
		return "", fmt.Errorf("QEMU has recorded %d bytes", len(raw))
	}
	var tr scope.Trace
	samples := make([]int16, (len(raw)-header)/2)
	if _, err := binary.Decode(raw[header:], binary.LittleEndian, samples); err != nil {
		return "", err
	}
	tr.Add(scope.Block{Samples: samples})
	var sum time.Duration
	var best scope.Span
	for _, s := range tr.Sounds(5 * time.Millisecond) {
		if sum += s.Duration(); s.Duration() > best.Duration() {
			best = s
		}
	}
	hz := scope.ToneOfPieces(tr.Of(best))
	text := fmt.Sprintf("%.2f Hz of %g, %v of sound came in QEMU's recording", hz, piTone, sum.Round(time.Millisecond))
	if sum < least || math.Abs(hz-piTone) > 2 {
		return "", errors.New(text)
	}
	return text, nil
}

// hubBack kills the hub and starts it again: the device comes back and plays.
func (p *pi) hubBack(ctx context.Context) (string, error) {
	p.hub.Kill()
	if err := p.hub.Start(ctx); err != nil {
		return "", err
	}
	began := time.Now()
	if err := p.hub.Online(ctx, piDevice); err != nil {
		return "", fmt.Errorf("%w: %s", err, tail(p.m.Said(), 2000))
	}
	on, err := p.plays(ctx)
	return fmt.Sprintf("killed and started; the device has played %.1f s later", time.Since(began).Seconds()), errors.Join(on, err)
}

// again cuts the power and starts the same card: it needs no code, and runs the
// version that it was brought to.
func (p *pi) again(ctx context.Context) (string, error) {
	before, err := p.boot(ctx, 0)
	if err != nil {
		return "", err
	}
	if err := p.power(true); err != nil {
		return "", err
	}
	began := time.Now()
	after, err := p.boot(ctx, before)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, tail(p.m.Said(), 3000))
	}
	took := time.Since(began)
	on, err := p.plays(ctx)
	if err = errors.Join(on, err, p.runs(ctx)); err != nil {
		return "", err
	}
	detail, err := p.heard()
	return fmt.Sprintf("power cut; start %.0f of the same card, after %.0f, is at the hub after %.1f s and runs %s: %s", after, before, took.Seconds(), newVersion, detail), err
}

// boot is the number of the device's start that the hub knows, which is larger
// than the one before.
func (p *pi) boot(ctx context.Context, before float64) (float64, error) {
	d, err := p.hub.Device(ctx, piDevice, func(d map[string]any) bool {
		boot, _ := d["boot"].(float64)
		return d["presence"] == "online" && boot > before
	})
	boot, _ := d["boot"].(float64)
	return boot, err
}
