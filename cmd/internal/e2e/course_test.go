package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// TestCourseSurvivesAKill: what a sensor measured, and the area that an operator
// gave it, are there after the hub was killed.
func TestCourseSurvivesAKill(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := startProcess(t, data)
	s.call("PUT", s.ready.HTTP+"/api/v1/devices/plug", map[string]string{"area": "north"}).want(t, 200, nil)
	s.publish("tele/plug/SENSOR", `{"ENERGY":{"Power":60}}`)
	s.until("the reading is written", func() bool { return written(t, data, "plug") })
	s.signal(syscall.SIGKILL)
	s.wait()
	s = startProcess(t, data)
	var course struct {
		Items []struct {
			Device, Metric string
			Unit           *string
			Points         [][2]float64
		}
	}
	s.get("/readings?area=north&from="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), &course)
	if len(course.Items) != 1 || course.Items[0].Device != "plug" || len(course.Items[0].Points) != 1 || course.Items[0].Points[0][1] != 60 || *course.Items[0].Unit != "W" {
		t.Errorf("after a kill: %+v", course.Items)
	}
	var d area.Device
	s.get("/devices/plug", &d)
	same(t, "area", d.Area, "north")
}

// written tells whether a file of the history names a device, as the record of its first
// reading does.
func written(t *testing.T, data, device string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, "history", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f string) bool {
		b, err := os.ReadFile(f)
		return err == nil && bytes.Contains(b, []byte(device))
	})
}
