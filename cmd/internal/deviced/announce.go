package deviced

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/clip"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/scheduler"
)

// Announcement is what the area says by its own schedule while its hub cannot be
// reached.
type Announcement struct {
	ID        string        `yaml:"id"`        // the same on every device of the area that has it: it is said once; needed
	Cron      string        `yaml:"cron"`      // as in schedules of the hub; either this or every
	Every     area.Duration `yaml:"every"`     // 10s or more; counted from 1970, so that all devices mean the same instants
	TimeZone  string        `yaml:"time_zone"` // of cron, such as Europe/London; empty: UTC
	Message   string        `yaml:"message"`   // the text; either this or clip
	Clip      string        `yaml:"clip"`      // sha256:…, which the devices have, since it was played before
	Chime     string        `yaml:"chime"`     // empty: the hub's default
	Languages []string      `yaml:"languages"`
	Priority  string        `yaml:"priority"` // background, normal, high or emergency; empty: normal
}

const (
	mostAnnouncements = 100
	leastEvery        = 10 * time.Second // what is said more often leaves no room for anything else
	mostMessage       = 4096             // bytes, as of orders
	mostLanguages     = 8                // as of orders
)

// schedule is the announcement as the scheduler takes it, in an area.
func (a Announcement) schedule(in area.Name) (area.Schedule, error) {
	where := string(in)
	s := area.Schedule{ID: a.ID, TimeZone: a.TimeZone, Enabled: true, Source: area.SourceConfig, Work: area.OrderRequest{To: area.To{Area: &where}, Chime: a.Chime, Languages: a.Languages}}
	if a.Cron != "" {
		s.Cron = &a.Cron
	}
	if a.Every != 0 {
		s.Every = &a.Every
	}
	if a.Message != "" {
		s.Work.Message = &a.Message
	}
	if a.Clip != "" {
		s.Work.Clip = &a.Clip
	}
	var err error
	if a.Priority != "" {
		var p area.Priority
		p, err = area.ParsePriority(a.Priority)
		s.Work.Priority = &p
	}
	return s, errors.Join(err, scheduler.Validate(s), a.check())
}

// check tells what is wrong with what is said. What only an order service knows, the
// leader's says when it comes due.
func (a Announcement) check() error {
	var faults []error
	if a.Message != "" && a.Clip != "" {
		faults = append(faults, errors.New("message and clip exclude each other"))
	}
	if a.Clip != "" {
		_, err := clip.ParseSum(a.Clip)
		faults = append(faults, err)
	}
	if len(a.Message) > mostMessage || !utf8.ValidString(a.Message) {
		faults = append(faults, fmt.Errorf("message is not at most %d bytes of UTF-8", mostMessage))
	}
	if _, err := media.ChimeLength(a.Chime); err != nil {
		faults = append(faults, fmt.Errorf("chime: %w", err))
	}
	if len(a.Languages) > mostLanguages {
		faults = append(faults, fmt.Errorf("%d languages are more than %d", len(a.Languages), mostLanguages))
	}
	return errors.Join(faults...)
}

// announcementFaults is what is wrong with them, by key.
func (c Config) announcementFaults() map[string]string {
	wrong := map[string]string{}
	if len(c.Announcements) > 0 && c.Peers.off() {
		wrong["announcements"] = "they are said by the leader of the area, and peers.mode is off"
	}
	if len(c.Announcements) > mostAnnouncements {
		wrong["announcements"] = fmt.Sprintf("%d are more than %d", len(c.Announcements), mostAnnouncements)
	}
	seen := map[string]bool{}
	for i, a := range c.Announcements {
		key := fmt.Sprintf("announcements[%d]", i)
		_, err := a.schedule("north")
		switch {
		case (a.Cron == "") == (a.Every == 0):
			wrong[key] = "exactly one of cron and every is needed"
		case a.Every != 0 && time.Duration(a.Every) < leastEvery:
			wrong[key+".every"] = fmt.Sprintf("%s is less than %s", time.Duration(a.Every), leastEvery)
		case err != nil:
			wrong[key] = err.Error()
		case a.Message == "" && a.Clip == "":
			wrong[key] = "neither message nor clip"
		case seen[a.ID]:
			wrong[key+".id"] = fmt.Sprintf("%q stands twice", a.ID)
		}
		seen[a.ID] = true
	}
	return wrong
}

// announcer hands an announcement that comes due to whoever leads the area, while
// the hub cannot be reached; else it is silent. Each member of the area that has
// the announcement does: the leader knows by the work's id that it is the same.
type announcer struct {
	up    area.Bus                       // to whoever leads
	alone func() (in area.Name, is bool) // whether the area goes on without its hub
	clock func() string                  // what is known of the time: one of the clock states
	area  area.Name                      // as configured
	log   *slog.Logger
}

// newAnnouncer makes what announces; nil where there is nothing to.
func newAnnouncer(c Config, a announcer, now func() time.Time) (*scheduler.Service, error) {
	if len(c.Announcements) == 0 {
		return nil, nil
	}
	a.area, _ = c.areaID() // check has seen it
	cfg := scheduler.Config{NotBefore: built()}
	for _, one := range c.Announcements {
		s, err := one.schedule(a.area)
		if err != nil {
			return nil, fmt.Errorf("announcement %s: %w", one.ID, err)
		}
		cfg.Schedules = append(cfg.Schedules, s)
	}
	return scheduler.New(cfg, &scheduler.Memory{}, a, a, now, a.log)
}

// Accept is scheduler.Orders: a firing becomes a work for the leader, or nothing
// where the hub speaks for the area, or the time is not known.
func (a announcer) Accept(ctx context.Context, r area.OrderRequest, by scheduler.By) (area.Order, error) {
	o := area.Order{ID: workOf(by)}
	in, alone := a.alone()
	if !alone || a.clock() == area.ClockUnknown {
		return o, nil
	}
	ttl := stale.Milliseconds()
	s := area.Submit{Work: o.ID, TTLMs: &ttl}
	var err error
	if s.Body, err = json.Marshal(r); err != nil {
		return o, err
	}
	payload, err := json.Marshal(s)
	if err != nil {
		return o, err
	}
	a.log.Info("announcement handed in without the hub", "area", in, "rule", by.Schedule, "work", o.ID)
	return o, a.up.Publish(ctx, area.Message{Topic: area.SubmitTopic(in), Payload: payload, QoS: 1})
}

// stale is how late an announcement may begin: while nothing can be granted they
// must not gather.
const stale = 30 * time.Second

// workOf is the work of a firing: the same on every device.
func workOf(by scheduler.By) area.WorkID {
	sum := sha256.Sum256([]byte(by.Schedule + "\x00" + by.Key))
	return area.WorkID("say-" + hex.EncodeToString(sum[:12]))
}

// DryRun is scheduler.Orders; nobody asks.
func (a announcer) DryRun(context.Context, area.OrderRequest) (area.Order, error) {
	return area.Order{}, nil
}

// Get is scheduler.Orders; nobody asks.
func (a announcer) Get(id area.WorkID) (area.Order, error) {
	return area.Order{}, area.Errorf(area.CodeNotFound, "no order %s is kept here", id)
}

// Areas is scheduler.Places: the announcements go to the area, and to no locations.
func (a announcer) Areas() []area.Area { return nil }

// besideAnnouncer runs what announces while run does.
func besideAnnouncer(ctx context.Context, s *scheduler.Service, run func(context.Context) error) error {
	if s == nil {
		return run(ctx)
	}
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { _ = s.Run(around) }) // it always answers nil
	return run(ctx)
}
