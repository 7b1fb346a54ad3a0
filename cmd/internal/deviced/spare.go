package deviced

import (
	"slices"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware"
	"github.com/tacet-hub/tacet/firmware/uplink"
)

// Spare is what is left of a configuration with faults: enough to be connected, in
// safe mode, and to say what the fault is, by the status and by the light. The
// faulty rest is not guessed at. It answers false where the device could not even
// say who it is, and for a simulated one, whose user is looking.
func (c Config) Spare(fault error) (Config, bool) {
	if c.Sim || c.Enrols() {
		return c, false
	}
	s := Default()
	s.Device, s.Hub, s.Web, s.Area, s.Location, s.Name = c.Device, c.Hub, c.Web, c.Area, c.Location, c.Name
	s.Username, s.PasswordFile, s.CAFile, s.CertFile, s.KeyFile = c.Username, c.PasswordFile, c.CAFile, c.CertFile, c.KeyFile
	s.Data, s.enrolled, s.SafeMode, s.fault = c.Data, c.enrolled, SafeModeOn, fault.Error()
	s.GPIO = GPIO{AmpEnable: c.GPIO.AmpEnable, AmpLead: s.GPIO.AmpLead, StatusLED: c.GPIO.StatusLED}
	if len(s.GPIO.faults()) > 0 {
		s.GPIO = Default().GPIO
	}
	s.Updates = c.Updates
	if _, err := s.Updates.keys(); err != nil {
		s.Updates = Updates{}
	}
	s.Hub = slices.DeleteFunc(slices.Clone(s.Hub), func(h string) bool { _, err := uplink.ParseHub(h); return err != nil })
	return s, s.Validate() == nil
}

// gaugeFault tells of the fault of the configuration, where there is one.
func (c Config) gaugeFault(h *area.Health) {
	if c.fault != "" {
		h.Faults["configuration"] = c.fault
	}
}

// alert has the light tell of it.
func (c Config) alert(a *firmware.Agent) {
	if c.fault != "" {
		a.Alert(firmware.LightConfigError)
	}
}
