package auth_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// TestOneCodeWaits: the last code for a device is the one that is good, also after
// a restart; a code for another device, and one that is over, are not replaced.
func TestOneCodeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, kept := context.Background(), &table{}
		a := newAuthority(t, site(), kept)
		enrol := func(d area.DeviceID, replaces bool) string {
			t.Helper()
			code, err := a.Enrol(ctx, auth.Enrolment{Device: d, Area: "north"})
			if err != nil || code.Replaced != replaces {
				t.Fatalf("code for %s: replaced %t, %v; want %t", d, code.Replaced, err, replaces)
			}
			return code.Text
		}
		first, other, last := enrol("gate-12", false), enrol("gate-13", false), enrol("gate-12", true)
		a = newAuthority(t, site(), kept)
		if w := a.Waiting(""); len(w) != 2 {
			t.Errorf("%d codes wait, want 2: %+v", len(w), w)
		}
		if _, err := a.Redeem(ctx, "192.0.2.1", first); area.CodeOf(err) != area.CodeNotFound {
			t.Errorf("the first code: %v, want not_found", err)
		}
		for _, code := range []string{other, last} {
			if _, err := a.Redeem(ctx, "192.0.2.2", code); err != nil {
				t.Error(err)
			}
		}
		enrol("gate-12", false) // it is enrolled, and no code waits
		time.Sleep(15 * time.Minute)
		enrol("gate-12", false)
	})
}
