package cli

import (
	"strings"
	"testing"

	"github.com/tacet-hub/tacet/drivers/media"
)

// The help of say names every chime.
func TestHelpNamesTheChimes(t *testing.T) {
	usage := say(Env{}).Flags().Lookup("chime").Usage
	for _, name := range media.Chimes()[1:] {
		if !strings.Contains(usage, name) {
			t.Errorf("%q does not name %s", usage, name)
		}
	}
}
