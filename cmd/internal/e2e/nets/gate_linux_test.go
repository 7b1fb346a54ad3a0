package nets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/cmd/internal/heard"
)

// gate is tacet-device on a host, with a simulated loudspeaker that records.
type gate struct {
	*host
	p        *process
	id       area.DeviceID
	location string
	dir      string
	starts   int
	tight    bool // its data is on a small disk, for as long as its process lives
}

func (s *site) newGate(n int, together string) *gate {
	s.t.Helper()
	id := gateID(n)
	g := &gate{host: s.lan.host(string(id)), id: id, location: fmt.Sprint(n), dir: s.t.TempDir()}
	text := fmt.Sprintf("device: %s\narea: north\nlocation: %q\nhub: [\"mqtt://%s:%d\"]\nusername: %s\npassword_file: %s\ndata: %s\n",
		id, g.location, s.hub.addr, mqttPort, id, g.file("secret"), g.file("data"))
	if together != "" {
		text += "peers: " + strings.ReplaceAll(together, "%s", g.file("key")) + "\n"
	}
	if err := os.Mkdir(g.file("data"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	for name, content := range map[string]string{"device.yaml": text, "secret": secret} {
		if err := os.WriteFile(g.file(name), []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return g
}

func gateID(n int) area.DeviceID { return area.DeviceID(fmt.Sprintf("gate-%d", n)) }

// file is a file of the device's.
func (g *gate) file(name string) string { return filepath.Join(g.dir, name) }

// start starts the device; each start has a recording of its own.
func (g *gate) start() {
	g.t.Helper()
	g.starts++
	command := []string{tacetDevice(g.t), "run", "--sim", "--config", g.file("device.yaml"), "--wav", g.wav(g.starts)}
	if g.tight {
		command = g.small(command...)
	}
	g.p = g.run(command[0], command[1:]...)
}

func (g *gate) wav(start int) string { return g.file(fmt.Sprintf("%d.wav", start)) }

// gather reads the recordings of all starts.
func (g *gate) gather(read func(string, area.DeviceID) ([]heard.Play, error)) (all []heard.Play) {
	g.t.Helper()
	for n := 1; n <= g.starts; n++ {
		plays, err := read(g.wav(n), g.id)
		if err != nil && !errors.Is(err, os.ErrNotExist) { // it was killed before it began to record
			g.t.Fatal(err)
		}
		all = append(all, plays...)
	}
	return all
}

func (g *gate) plays() []heard.Play { return g.gather(heard.List) }

// silent waits until the device, as it was started last, plays nothing.
func (g *gate) silent() {
	g.t.Helper()
	until(g.t, string(g.id)+" is silent", func() (bool, string) {
		plays, err := heard.List(g.wav(g.starts), g.id)
		open := slices.ContainsFunc(plays, func(p heard.Play) bool { return p.Open })
		return err == nil && !open, fmt.Sprint(plays, err)
	})
}

// playing waits until one of the gates plays an order, and answers which and how.
func (s *site) playing(id area.WorkID, among ...*gate) (who *gate, p heard.Play) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("order %s plays", id), func() (bool, string) {
		var seen []heard.Play
		for _, g := range among {
			plays, _ := heard.List(g.wav(g.starts), g.id) // it may not record yet
			for _, p = range plays {
				if p.Work == id && p.Open {
					who = g
					return true, ""
				}
			}
			seen = append(seen, plays...)
		}
		return false, fmt.Sprint(seen)
	})
	return who, p
}

// but is all gates but one.
func (s *site) but(one *gate) (others []*gate) {
	for _, g := range s.gates {
		if g != one {
			others = append(others, g)
		}
	}
	return others
}

// heardFor waits until a play has lasted so long.
func (g *gate) heardFor(id area.WorkID, d time.Duration) {
	g.t.Helper()
	until(g.t, fmt.Sprintf("%s has played %v of %s", g.id, d, id), func() (bool, string) {
		plays := g.plays()
		return slices.ContainsFunc(plays, func(p heard.Play) bool { return p.Work == id && p.Length() >= d }), fmt.Sprint(plays)
	})
}
