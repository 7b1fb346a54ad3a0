//go:build linux

package rungs

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/cmd/internal/rungs/proof"
)

// devicePackages is what runs on a device; the arm64 tests are theirs too.
var devicePackages = []string{"./drivers/...", "./firmware/...", "./broker/area", "./broker/turn", "./cmd/internal/deviced"}

// deviceLines are the packages of which a line has to come.
var deviceLines = []string{"drivers/audio", "drivers/gpio", "drivers/media", "drivers/sensor", "drivers/sim", "drivers/speech", "drivers/watchdog", "firmware", "firmware/fetch", "firmware/leader", "firmware/share", "firmware/update", "firmware/uplink", "broker/area", "broker/turn", "cmd/internal/deviced"}

// rung0 is the tests of what runs on a device, with simulated pins, buses and
// loudspeakers.
var rung0 = Rung{
	Number: 0, Title: "tests with simulated pins, buses and sound", Limit: 10 * time.Minute, Lines: deviceLines,
	climb: func(ctx context.Context, s *Site, sheet *proof.Sheet) error {
		t := tests{args: devicePackages}
		return t.run(ctx, s.Tree, sheet)
	},
}

// beyond are tests that the emulator of one program cannot run, by package: it
// does not start a second program of its processor, and does not know the calls
// of the GPIO. Rung 4 runs them on an arm64 kernel.
var beyond = map[string][]string{
	"firmware":             {"TestKilledProcess"},
	"cmd/internal/deviced": {"TestCrashesAreTold"},
	"drivers/gpio":         {"TestWhatIsNoChip"},
	"firmware/leader/office": {"TestAReignCrosses", "TestHowAReignEnds", "TestWhatIsOwed", "TestTheEndOfTheDevice", "TestAnotherRelease",
		"TestADeviceThatWasKilled", "TestADeviceThatStandsStill", "TestAProgramThatStandsStill"},
}

// alone are tests that start themselves again in a network of their own, by a shell
// of this machine's processor.
var alone = []string{"TestMulticast", "TestMeetByMulticast"}

// whole are tests of a hub with several devices in one process, which take minutes
// under the emulator; what is in them has tests of its own.
var whole = []string{"TestAnAreaLedByItsOwnDevice", "TestAnAreaAnnouncesByItself"}

// building are those that build programs to start, which takes the go command:
// rung 0 alone has them.
var building = []string{"TestHundredUpdatesKilled", "TestSlotsThatCannotBeStarted", "TestVisit", "TestAnAreaLedByAProgram"}

// exactly is the expression that these tests match, and no others.
func exactly(tests []string) string { return "^(" + strings.Join(tests, "|") + ")$" }

// rung1 is the same tests as the Pi runs them: built for its processor, which is
// emulated.
var rung1 = Rung{
	Number: 1, Title: "the tests built for arm64, under qemu-aarch64", Limit: 40 * time.Minute, // beside "go test", on a busy machine
	Lines: deviceLines,
	needs: []need{{"qemu-aarch64", "qemu-user"}},
	climb: func(ctx context.Context, s *Site, sheet *proof.Sheet) error {
		t := tests{env: []string{"GOARCH=arm64", "CGO_ENABLED=0"}, args: append([]string{"-timeout", "30m", "-exec", "qemu-aarch64", "-skip", exactly(slices.Concat(append(slices.Collect(maps.Values(beyond)), alone, whole, building)...))}, devicePackages...)}
		return t.run(ctx, s.Tree, sheet)
	},
}

// rung2 is the tests that start a PulseAudio of their own, whose loudspeaker is
// recorded: of the driver, of a device that has no other, and of two devices of
// one area that play through it.
var rung2 = Rung{
	Number: 2, Title: "PulseAudio, its null sink recorded by its monitor", Limit: 3 * time.Minute,
	Lines: []string{"audio.TestRung2PulseTone", "audio.TestPulseDropsAndComesBack", "audio.TestPulseLeavesNothingBehind",
		"deviced.TestADeviceWithoutSound", "e2e.TestRung2TwoDevicesOnOneLoudspeaker", "e2e.TestRung2OrderToSound"},
	needs: []need{{"pulseaudio", "pulseaudio"}, {"parec", "pulseaudio-utils"}},
	climb: func(ctx context.Context, s *Site, sheet *proof.Sheet) error {
		t := tests{each: true, args: []string{"-count=1", "-run", "Pulse|Rung2|TestADeviceWithoutSound", "./drivers/audio", "./cmd/internal/deviced", "./cmd/internal/e2e"}}
		return t.run(ctx, s.Tree, sheet)
	},
}
