package update

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// Bounds of what is read from elsewhere, in bytes.
const (
	MaxProgram = 128 << 20 // of a program
	MaxRelease = 16 << 10  // of a release as JSON
)

// Manifest describes one build of the program.
type Manifest struct {
	Version    string    `json:"version"`               // semantic, such as v1.4.0
	Arch       string    `json:"arch"`                  // as [Arch] writes it
	Size       int64     `json:"size"`                  // bytes of the program, 1 to MaxProgram
	SHA256     string    `json:"sha256"`                // of the program, 64 hexadecimal digits in lower case
	MinVersion string    `json:"min_version,omitempty"` // least version that may go to this one; empty: any
	Built      time.Time `json:"built"`                 // UTC
}

// Arch is how a manifest names the system and the processor that this program
// was built for: linux-arm64.
func Arch() string { return runtime.GOOS + "-" + runtime.GOARCH }

// Encode writes m, as it is to be signed.
func (m Manifest) Encode() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic("update: manifest: " + err.Error()) // a Built beyond the year 9999
	}
	return append(b, '\n')
}

// ParseManifest reads a manifest; fields that it does not know are left to newer
// programs. Its error tells all faults at once.
func ParseManifest(b []byte) (Manifest, error) {
	var m Manifest
	if len(b) > MaxRelease {
		return m, fmt.Errorf("manifest: more than %d bytes", MaxRelease)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	return m, m.Validate()
}

// Validate tells everything that is wrong with m at once.
func (m Manifest) Validate() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("manifest: "+format, args...))
		}
	}
	fault(!IsVersion(m.Version), "version %.40q is not semantic, such as v1.4.0", m.Version)
	fault(m.MinVersion != "" && !IsVersion(m.MinVersion), "min_version %.40q is not semantic, such as v1.4.0", m.MinVersion)
	fault(!IsArch(m.Arch), "arch %.40q is not such as linux-arm64", m.Arch)
	fault(m.Size < 1 || m.Size > MaxProgram, "size %d is not 1 to %d", m.Size, MaxProgram)
	sum, err := hex.DecodeString(m.SHA256)
	fault(err != nil || len(sum) != sha256.Size || strings.ToLower(m.SHA256) != m.SHA256, "sha256 %.80q is not 64 hexadecimal digits in lower case", m.SHA256)
	return errors.Join(faults...)
}

// IsArch tells whether s names a system and a processor, such as linux-arm64. It
// can be part of a path then.
func IsArch(s string) bool {
	system, processor, found := strings.Cut(s, "-")
	word := func(s string) bool {
		return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789") == "" && len(s) <= 16
	}
	return found && word(system) && word(processor)
}

// Reasons for which a release is refused.
var (
	ErrDowngrade = errors.New("it is older than what runs, and going back was not allowed")
	ErrTooFar    = errors.New("it cannot be reached from what runs in one step")
	ErrArch      = errors.New("it is for another processor")
	ErrFailed    = errors.New("it was tried here and failed")
	ErrCurrent   = errors.New("it runs already")
	ErrOnTrial   = errors.New("another version is on trial")
)

// IsVersion tells whether s is a semantic version, such as v1.4.0.
func IsVersion(s string) bool { return semver.IsValid(s) }

// Compare orders versions: negative where a is older than b. What is no semantic
// version, such as that of a build from a working copy, is older than every one
// that is.
func Compare(a, b string) int { return semver.Compare(a, b) }

// Fits tells whether a device that runs the version may go to m.
func (m Manifest) Fits(arch, running string, allowDowngrade bool) error {
	switch {
	case m.Arch != arch:
		return fmt.Errorf("%w: %s, not %s", ErrArch, m.Arch, arch)
	case !allowDowngrade && Compare(m.Version, running) < 0:
		return fmt.Errorf("%w: %s after %s", ErrDowngrade, m.Version, running)
	case m.MinVersion != "" && IsVersion(running) && Compare(running, m.MinVersion) < 0:
		return fmt.Errorf("%w: %s needs %s first", ErrTooFar, m.Version, m.MinVersion)
	}
	return nil
}
