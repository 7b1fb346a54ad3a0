package sensor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Report is what came of a measurement.
type Report struct {
	Sensor string // for people: driver, and name where it has one
	Name   string // channel; may be empty
	Values []Value
	// Err is why nothing was measured, with the metrics that there is no value of.
	Err     error
	Metrics []string
	Again   bool // it was so the last time too
}

// Sensors is all sensors of a device. Make it with [New].
type Sensors struct {
	list  []Config
	parts Parts
	tell  func(Report)
	count counters

	mu     sync.Mutex
	faults map[string]string // by name or driver
}

type counters struct{ measured, failed, reopened atomic.Uint64 }

// Stats counts what [Sensors] has done since it was made.
type Stats struct {
	Measured uint64
	Failed   uint64 // measurements, and openings, that failed
	Reopened uint64 // sensors that were opened again after a failure
}

const retryMost = 5 * time.Minute

// New makes sensors; tell hears what they measure, from several goroutines, and
// only enqueues. It starts nothing.
func New(list []Config, parts Parts, tell func(Report)) (*Sensors, error) {
	var errs []error
	for _, f := range Faults(list) {
		errs = append(errs, fmt.Errorf("sensors%s: %s", f.Key, f.Text))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	parts.fill()
	s := &Sensors{parts: parts, tell: tell, faults: map[string]string{}}
	for _, c := range list {
		c.fill()
		s.list = append(s.list, c)
	}
	return s, nil
}

// Faults is the sensors that do not work now, by name or driver, and why.
func (s *Sensors) Faults() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	faults := map[string]string{}
	for k, v := range s.faults {
		faults[k] = v
	}
	return faults
}

// Stats is what was counted so far.
func (s *Sensors) Stats() Stats {
	return Stats{Measured: s.count.measured.Load(), Failed: s.count.failed.Load(), Reopened: s.count.reopened.Load()}
}

// Run measures until ctx ends, and returns nil.
func (s *Sensors) Run(ctx context.Context) error {
	var work sync.WaitGroup
	for _, c := range s.list {
		work.Go(func() { s.measure(ctx, c) })
	}
	work.Wait()
	return nil
}

// measure is one sensor's goroutine.
func (s *Sensors) measure(ctx context.Context, c Config) {
	var d driver
	failed := 0 // times in a row
	for ctx.Err() == nil {
		began := time.Now()
		values, err := s.once(ctx, c, &d)
		if ctx.Err() != nil {
			break
		}
		wait := c.Every
		if err == nil {
			s.works(c, values, failed > 0)
			failed = 0
		} else {
			s.fails(c, err, failed == 0)
			wait = min(max(c.Every, time.Second)<<min(failed, 8), retryMost)
			failed++
		}
		pause(ctx, wait-time.Since(began))
	}
	if d != nil {
		_ = d.close() // the process ends: there is nobody left to tell
	}
}

// once measures; where that fails the driver is closed.
func (s *Sensors) once(ctx context.Context, c Config, d *driver) (values []Value, err error) {
	if *d == nil {
		if *d, err = kinds[c.Driver].open(c, s.parts); err != nil {
			*d = nil
			return nil, err
		}
	}
	if values, err = (*d).sense(ctx); err != nil {
		err = errors.Join(err, (*d).close())
		*d = nil
	}
	return values, err
}

func (s *Sensors) works(c Config, values []Value, again bool) {
	s.count.measured.Add(1)
	if again {
		s.count.reopened.Add(1)
		s.mu.Lock()
		delete(s.faults, c.label())
		s.mu.Unlock()
	}
	s.tell(Report{Sensor: c.label(), Name: c.Name, Values: values})
}

func (s *Sensors) fails(c Config, err error, first bool) {
	s.count.failed.Add(1)
	s.mu.Lock()
	s.faults[c.label()] = err.Error()
	s.mu.Unlock()
	s.tell(Report{Sensor: c.label(), Name: c.Name, Err: err, Metrics: kinds[c.Driver].metrics, Again: !first})
}

// label is what a sensor is called where it is told of.
func (c Config) label() string {
	if c.Name != "" && c.Name != c.Driver {
		return c.Driver + " " + c.Name
	}
	return c.Driver
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
