package leaderd

import (
	"io"
	"log/slog"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/leader/host"
	"github.com/tacet-hub/tacet/firmware/leader/office"
)

// Leader is a host that tells how it is.
type Leader struct{ *host.Host }

// New opens what is kept of earlier reigns; now is the wall clock. It starts nothing;
// a Leader must be closed.
func New(s office.Setup, link office.Link, now func() time.Time, log *slog.Logger) (Leader, error) {
	small := smallHub{clips: shelf(s.Clips), clock: clock, now: now, log: log}
	h, err := host.New(host.Config{Device: s.Device, Dir: s.Dir, Listen: s.Listen, Web: s.Web},
		host.Parts{Link: link, Renderer: lengths{}, Web: small.open, Clock: clock, Now: now, Log: log})
	return Leader{h}, err
}

// clock goes on while the machine is suspended.
func clock() area.Instant { return area.Instant(firmware.Boottime{}.Now()) }

// Able is nil: what is in the same process is there.
func (Leader) Able() error { return nil }

// Gauge has nothing to tell in the device's health.
func (Leader) Gauge(*area.Health) {}

// Counts are its counters, by name.
func (l Leader) Counts() map[string]uint64 {
	s := l.Stats()
	return map[string]uint64{
		"reigns": s.Reigns, "dropped": s.Dropped, "refused": s.Refused, "owed": uint64(s.Owed), "forgotten": s.Forgotten, "works": uint64(s.Works), "unsaved": s.Unsaved,
	}
}

// Told is how it is.
func (l Leader) Told() office.Told {
	return office.Told{Leads: l.Leads(), CutOff: l.CutOff(), Owes: l.Owes(), Counts: l.Counts()}
}

// Serve is the program: see [office.Serve]. It logs to errs, as the device reads it.
func Serve(in io.Reader, out io.WriteCloser, errs io.Writer, release string) error {
	open := func(s office.Setup, link office.Link) (office.Host, error) {
		log := slog.New(slog.NewJSONHandler(errs, &slog.HandlerOptions{Level: s.Level}))
		calendar := firmware.NewCalendar(time.Unix(0, 0), s.Clock, time.Now, firmware.Synced)
		l, err := New(s, link, calendar.Now, log)
		return l, err
	}
	return office.Serve(in, out, release, open, clock)
}
