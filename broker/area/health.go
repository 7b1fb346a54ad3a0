package area

// Health is how a device is, as it says in its [Status]. What it cannot tell is
// null. Its texts are for people: no program may read more than whether there is
// one.
type Health struct {
	BootReason   string            `json:"boot_reason"`   // why it was started: one of the Boot reasons
	SafeMode     bool              `json:"safe_mode"`     // it does nothing but wait to be repaired
	Clock        string            `json:"clock"`         // what it knows of the time: one of the clock states
	UptimeS      int64             `json:"uptime_s"`      // since it was started, when it said this
	AudioDevice  string            `json:"audio_device"`  // what sounds, and why nothing better does
	Xruns        uint64            `json:"xruns"`         // gaps in its sound since it was started
	Pins         map[string]string `json:"pins"`          // by key of the configuration: the pin, and who else holds it
	TemperatureC *float64          `json:"temperature_c"` // of the processor
	UnderVoltage *bool             `json:"under_voltage"` // the supply is too weak
	Faults       map[string]string `json:"faults"`        // what does not work now, by part
	LastError    *string           `json:"last_error"`    // the newest error of its log

	Peers *PeersHealth `json:"peers,omitempty"` // nil: it is on no roster

	// Counts are what the member, and what it leads with, have counted since it was
	// started, less what is 0, by names such as member_calls_failed and leader_owed.
	// They are told with the next news, and are none.
	Counts map[string]uint64 `json:"counts,omitempty"`
}

// PeersHealth is how a device stands among the members of its area.
type PeersHealth struct {
	Follows string   `json:"follows"` // what it turns to: "hub", "via" (the hub, carried by who) or "leader" (who, which may be itself)
	Who     DeviceID `json:"who,omitempty"`
	Term    uint64   `json:"term,omitempty"` // by which it leads itself
	Members int      `json:"members"`        // on the roster
	Alive   int      `json:"alive"`          // of these, with itself
	Hub     bool     `json:"hub"`            // the hub can be reached, from here or through another member

	Reigns  uint64 `json:"reigns"`  // begun here, since it was started
	Carried uint64 `json:"carried"` // connections of others to the hub, since it was started
}

// Reasons for which a device was started.
const (
	BootPowerOn  = "power_on" // its machine was
	BootWatchdog = "watchdog" // it made no progress, and was reset
	BootCrash    = "crash"    // it ended without a word
	BootUpdate   = "update"   // into another version
	BootOrderly  = "orderly"  // it had been told to end
)

// What a device knows of the time.
const (
	ClockSynced  = "synced"  // the kernel says that a time server keeps it
	ClockSet     = "set"     // it is not known to be wrong
	ClockUnknown = "unknown" // it is before what must have passed: nobody has set it
)
