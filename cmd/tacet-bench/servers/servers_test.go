package servers

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/cmd/tacet-bench/wire"
)

// TestMain is a server where one is started as a process.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == ServeCommand { // mqtt-serve --kind K --dir D
		if err := Serve(context.Background(), Kind(os.Args[3]), os.Args[5], os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestStart(t *testing.T) {
	for _, kind := range Here([]Kind{Broker, Durable, Mochi, Mochi1024, MochiBolt, Mosquitto, Autosave}) {
		t.Run(string(kind), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s := Spec{Kind: kind, Dir: dir}
			for _, end := range []func(*Process){(*Process).Stop, (*Process).Kill} {
				p, err := Start(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				c, err := wire.Dial(t.Context(), p.MQTT, wire.Options{ID: User, User: User, Password: Password})
				if err != nil {
					t.Error(err)
				} else {
					_ = c.Close()
				}
				if b, err := p.RSS(); err != nil || b <= 0 {
					t.Errorf("RSS %d, %v", b, err)
				}
				if f, err := p.CPU(); err != nil || f < 0 {
					t.Errorf("CPU %g, %v", f, err)
				}
				if n, err := p.Written(); err != nil || n < 0 {
					t.Errorf("written %d, %v", n, err)
				}
				if p.Ready <= 0 {
					t.Errorf("ready after %s", p.Ready)
				}
				end(p)
				<-p.Done()
			}
			if err := StartAndKill(t.Context(), s, time.Millisecond); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStartFails(t *testing.T) {
	if _, err := Start(t.Context(), Spec{Kind: "none", Dir: t.TempDir()}); err == nil {
		t.Error("no error")
	}
	if _, err := Start(t.Context(), Spec{Kind: Hub, Program: "/nowhere", Dir: filepath.Join(t.TempDir(), "data")}); err == nil {
		t.Error("no error")
	}
}
