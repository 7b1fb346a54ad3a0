package nets

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/tacet-hub/tacet/cmd/internal/e2e/programs"
)

// long makes faults last as long as they do in the field, and not just until
// somebody has noticed.
var long = flag.Bool("nets.long", false, "faults that last for 45 s and more")

// atOnce is how many tests run side by side: they wait for most of their time.
const atOnce = "6"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", atOnce); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	code := m.Run()
	programs.Remove()
	os.Exit(code)
}

// The programs.
var (
	tacet       = programs.Tacet
	tacetDevice = programs.Device
	tool        = programs.Tool
)
