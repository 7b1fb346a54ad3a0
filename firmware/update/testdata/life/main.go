// Command life is a device that can do nothing but update itself: "launch" is
// the launcher, "visit" one beside the device, "update" an update, over the slots in ./slots, from what is in
// ./offer.json. A test kills it.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/tacet-hub/tacet/firmware/update"
)

// offer is what there is to update to, and who is believed.
type offer struct {
	Keys    []string
	Release update.Release
	Program []byte
}

// source is the offer as an updater asks for it; it sends 16 KiB at a time.
type source struct{ from offer }

func (s source) Release(context.Context, string) (update.Release, error) { return s.from.Release, nil }

func (s source) Program(_ context.Context, _ update.Manifest, from int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(pieces{bytes.NewReader(s.from.Program[from:])}), from, nil
}

type pieces struct{ whole io.Reader }

func (p pieces) Read(b []byte) (int, error) { return p.whole.Read(b[:min(len(b), 16<<10)]) }

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "life:", err)
		os.Exit(1)
	}
}

func run(role string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	text, err := os.ReadFile("offer.json")
	if err != nil {
		return err
	}
	var o offer
	if err := json.Unmarshal(text, &o); err != nil {
		return err
	}
	keys, err := update.ParseKeys(o.Keys)
	if err != nil {
		return err
	}
	if role == "launch" || role == "visit" {
		err := update.Launch(update.LaunchConfig{Dir: "slots", Keys: keys, Version: "v1.0.0", Args: os.Args, Environ: os.Environ(), Visit: role == "visit"}, log)
		fmt.Println("installed", err)
		return nil
	}
	u, err := update.New(update.Config{Dir: "slots", Keys: keys, Version: "v1.0.0", Launched: update.Launched{Launcher: os.Args[0], Version: "v1.0.0"}},
		source{o}, log)
	if err != nil {
		return err
	}
	if err := u.Order(nil); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }() // waited for below
	select {
	case <-u.Restart():
		cancel()
		return <-ended
	case err := <-ended:
		return err
	}
}
