package cli

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/bridge/rollout"
	"github.com/tacet-hub/tacet/broker/area"
)

// rolling is a hub with one rollout, which ends when it is asked for a third
// time.
func rolling(t *testing.T, end rollout.Rollout) (url string, asked *string) {
	t.Helper()
	asked = new(string)
	polls := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			*asked = string(body)
		}
		now := end
		switch polls++; polls {
		case 1, 2:
			now.State, now.EndedAt = rollout.Running, nil
			now.Devices = []rollout.Device{{Device: "gate-1", State: rollout.Ordered}, {Device: "gate-2", State: rollout.Waiting}}
		case 3:
			now.State, now.EndedAt = rollout.Running, nil
			now.Devices = []rollout.Device{{Device: "gate-1", State: area.UpdateDownloading, Percent: 40, Version: "v1.4.0"}, {Device: "gate-2", State: rollout.Waiting}}
		}
		_ = json.NewEncoder(w).Encode(now)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

func TestDeviceUpdate(t *testing.T) {
	at := area.At(time.Unix(0, 0))
	done := rollout.Rollout{ID: "u-7", State: rollout.Done, EndedAt: &at, Devices: []rollout.Device{
		{Device: "gate-1", State: area.UpdateConfirmed, Version: "v1.4.0"}, {Device: "gate-2", State: area.UpdateConfirmed, Version: "v1.4.0"}}}
	failed := done
	failed.State = rollout.Failed
	failed.Devices = []rollout.Device{
		{Device: "gate-1", State: area.UpdateFailed, Version: "v1.4.0", Reason: "it was not healthy"}, {Device: "gate-2", State: rollout.Skipped, Reason: "not begun: gate-1 has failed"}}
	for _, c := range []struct {
		name, line string
		end        rollout.Rollout
		exit       int
		asked      string
		out, errs  string
	}{
		{"a device", "device update gate-1", done, ExitOK, `{"to":{"device":"gate-1"},"version":"","allow_downgrade":false}`,
			"gate-1 ordered, it has 1m0s to answer\ngate-1 downloading 40 % v1.4.0\ngate-1 confirmed v1.4.0\ngate-2 confirmed v1.4.0\n", ""},
		{"an area, back", "device update --area north --version v1.2.0 --allow-downgrade --no-wait", done, ExitOK,
			`{"to":{"area":"north"},"version":"v1.2.0","allow_downgrade":true}`, "u-7\n", ""},
		{"one fails", "device update --all", failed, ExitFailed, `{"to":{"all":true},"version":"","allow_downgrade":false}`,
			"gate-1 ordered, it has 1m0s to answer\ngate-1 downloading 40 % v1.4.0\ngate-1 failed v1.4.0: it was not healthy\ngate-2 skipped: not begun: gate-1 has failed\n",
			"tacet: failed: 0 of 2 devices are updated, 1 failed, 1 were skipped\n"},
		{"nobody", "device update", done, ExitUsage, "", "", "tacet: usage: update needs exactly one of a device, --area and --all\n"},
		{"two", "device update gate-1 --all", done, ExitUsage, "", "", "tacet: usage: update needs exactly one of a device, --area and --all\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, asked := rolling(t, c.end)
			exit, out, errs := run(t, map[string]string{"TACET_URL": url}, strings.Fields(c.line)...)
			if exit != c.exit || out != c.out || errs != c.errs || *asked != c.asked {
				t.Errorf("exit %d, asked %s, printed %q and %q; want %d, %s, %q and %q", exit, *asked, out, errs, c.exit, c.asked, c.out, c.errs)
			}
		})
	}
}
