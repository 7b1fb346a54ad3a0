package redis

import (
	"flag"
	"os"
	"testing"
)

// atOnce is how many tests run at once. They mostly wait: for servers to start, to be
// missed, and to come back.
const atOnce = "4"

func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		_ = flag.Set("test.parallel", atOnce) // it exists
	}
	os.Exit(m.Run())
}
