package servers

import (
	"os/exec"
	"slices"
)

// Kind is a server and how it is set up.
type Kind string

// The servers.
const (
	Broker    Kind = "tacet broker"       // the embedded broker alone, in memory
	Durable   Kind = "tacet broker+store" // the embedded broker with the durable store
	Hub       Kind = "tacet serve"        // the whole hub, as it ships
	Mochi     Kind = "bare mochi"         // mochi v2.7.9 with auth.AllowHook and its defaults
	Mochi1024 Kind = "bare mochi 1024"    // the same with 1,024 pending writes for each client instead of 8,192
	MochiBolt Kind = "mochi+bolt"         // the same as Mochi with its bolt hook
	Mosquitto Kind = "mosquitto"          // Debian's, in memory, as it is by default
	Autosave  Kind = "mosquitto+store"    // the same with persistence, saved as often as it is by default
)

// Keeps tells whether a server writes what it must remember to its directory.
func (k Kind) Keeps() bool { return slices.Contains([]Kind{Durable, Hub, MochiBolt, Autosave}, k) }

func (k Kind) mosquitto() bool { return k == Mosquitto || k == Autosave }

// mosquittoPath is where Debian has it, which is in no user's PATH; empty: it
// is not installed.
func mosquittoPath() string {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Here is those of the kinds that this machine has.
func Here(kinds []Kind) (here []Kind) {
	for _, k := range kinds {
		if !k.mosquitto() || mosquittoPath() != "" {
			here = append(here, k)
		}
	}
	return here
}
