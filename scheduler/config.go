package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Config is what the operator says.
type Config struct {
	// Schedules are those of the configuration file. Their Source is set here.
	Schedules []area.Schedule

	// Grace is how late a firing may be and still be made; default 1 minute.
	Grace time.Duration

	// NotBefore is a time that has passed, such as when the program was built: while
	// the wall clock is before it nobody has set it, and nothing comes due. Zero: the
	// clock is believed.
	NotBefore time.Time

	// Most is how many schedules there may be; default 10,000.
	Most int
}

const (
	defaultGrace = time.Minute
	defaultMost  = 10_000
)

// Validate tells everything that is wrong with the configuration at once.
func (c Config) Validate() error {
	var errs []error
	if c.Grace < 0 {
		errs = append(errs, errors.New("grace is less than 0"))
	}
	if c.Most < 0 {
		errs = append(errs, errors.New("most is less than 0"))
	}
	for _, s := range c.Schedules {
		if err := Validate(s); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// By is the firing for which an order is made.
type By struct {
	Schedule string // its id
	Key      string // the same for the same firing, and location where it is each: its order is made once
}

// Orders takes what firings make. It is safe for concurrent use. Accept's error of
// code exists says that another node has made the order of this firing.
type Orders interface {
	Accept(ctx context.Context, r area.OrderRequest, by By) (area.Order, error)
	DryRun(ctx context.Context, r area.OrderRequest) (area.Order, error)
	Get(id area.WorkID) (area.Order, error)
}

// Places knows the areas with their locations. It is safe for concurrent use.
type Places interface {
	Areas() []area.Area
}

// Record is what is kept of a schedule.
type Record struct {
	Schedule area.Schedule
	Each     map[area.LocationID]area.WorkID // newest order for each location; nil: none
}

// Store keeps schedules. Its methods are safe for concurrent use, and what they
// took is durable when they return.
type Store interface {
	// Load answers every record, in any order.
	Load() ([]Record, error)
	// Put keeps a record, new or changed.
	Put(ctx context.Context, r Record) error
	// Fired notes what a firing made. A schedule that is not kept, because it was
	// deleted meanwhile, stays away and is no error.
	Fired(ctx context.Context, id string, last area.ScheduleFired, each map[area.LocationID]area.WorkID) error
	// Delete forgets a schedule; one that is not kept is no error.
	Delete(ctx context.Context, id string) error
}
