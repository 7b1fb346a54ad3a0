package office

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Times of the two ends.
const (
	// Ask is how often the program asks whether it may go on.
	Ask = 500 * time.Millisecond
	// Leave is for how long it may, from when it asked. It is shorter than what it
	// takes the others to lead instead of a leader that hangs: 2.3 s at the least
	// until they know, and a second more (package election, Window).
	Leave = 2500 * time.Millisecond
	// Patience is how long the device waits for a question before it kills the
	// program; and for its end, when it was told to end.
	Patience = 3 * time.Second

	openTime  = 8 * time.Second // until it is open; less than what package leader gives a reign to begin
	stopTime  = 5 * time.Second // until a reign that was stopped has ended
	probeTime = 5 * time.Second // for the program to say its release
	lookAgain = time.Minute     // while the program cannot be run, and after one has died that owes something
	logLine   = 64 << 10        // bytes
)

// Setup is what the program has to know.
type Setup struct {
	Device area.DeviceID `json:"device"`
	Dir    string        `json:"dir"`    // of what it keeps
	Clips  string        `json:"clips"`  // directory of the device's clips; empty: none
	Listen string        `json:"listen"` // of the broker, as in package host
	Web    string        `json:"web"`    // of the web listener
	Clock  time.Time     `json:"clock"`  // the time is not before this
	Level  slog.Level    `json:"level"`  // of its log
}

// Config says which program leads, and what it is told.
type Config struct {
	Setup
	Release string // of this program; the other one's has to be the same
	// Find answers the path of the program. It may block for the disk. Needed.
	Find func() (string, error)
}

// Validate tells everything that is wrong with c at once.
func (c Config) Validate() error {
	var faults []error
	if !area.IsID(string(c.Device)) {
		faults = append(faults, fmt.Errorf("office: device %q is no id", c.Device))
	}
	if c.Dir == "" {
		faults = append(faults, errors.New("office: there is no directory"))
	}
	if c.Find == nil {
		faults = append(faults, errors.New("office: the way to the program is missing"))
	}
	return errors.Join(faults...)
}

// Link is the device's second connection to the hub; package trunk has one. Its
// methods are safe for concurrent use and do not block.
type Link interface {
	Want(why string, wanted bool)
	Up() bool
	Send(t area.Trunk) error
	Watch(heard func(area.Trunk), changed func(up bool)) (cancel func())
	Documents(heard func(payload []byte)) (cancel func(), err error)
}

// Told is what the program tells of itself.
type Told struct {
	Leads  bool              `json:"leads"`
	CutOff bool              `json:"cut_off"` // it leads, and the hub has not accepted that
	Owes   bool              `json:"owes"`    // the hub is to be told something yet
	Counts map[string]uint64 `json:"counts"`  // of the host
}
