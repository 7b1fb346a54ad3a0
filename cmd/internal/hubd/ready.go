package hubd

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Ready says where a running hub listens. It is written as ready.json into the
// data directory once every listener accepts, and removed at a clean end.
type Ready struct {
	HTTP  string  `json:"http"`
	MQTT  string  `json:"mqtt"`
	MQTTS *string `json:"mqtts"`
	Admin string  `json:"admin"`
	Node  string  `json:"node"`
	PID   int     `json:"pid"`
}

// String is the line that tacet serve prints.
func (r Ready) String() string {
	return fmt.Sprintf("ready http=%s mqtt=%s node=%s", r.HTTP, r.MQTT, r.Node)
}

const readyName = "ready.json"

// write puts the file there in one step, so that no reader sees half of it.
func (r Ready) write(dir string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, readyName+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", readyName, err)
	}
	defer os.Remove(tmp.Name())
	if _, err = tmp.Write(append(b, '\n')); err == nil {
		err = tmp.Close()
	}
	if err == nil {
		err = os.Chmod(tmp.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(dir, readyName))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", readyName, err)
	}
	return nil
}

// remove takes the file away; a hub that is gone must not be found.
func (r Ready) remove(dir string) { _ = os.Remove(filepath.Join(dir, readyName)) }
