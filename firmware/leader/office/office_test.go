package office

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/firmware/leader"
)

// desktop is an office that runs, and what it is connected to.
type desktop struct {
	*Office
	t    *testing.T
	dir  string
	line *line
	able chan error
	logs *lines
	end  func()
}

// lines keeps what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) has(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), what)
}

func newDesktop(t *testing.T, dir string) *desktop {
	t.Helper()
	d := &desktop{t: t, dir: dir, line: newLine(), able: make(chan error, 10), logs: &lines{}}
	var err error
	d.Office, err = New(Config{Setup: Setup{Device: "gate-1", Dir: dir}, Release: "v1", Find: os.Executable}, d.line, since,
		func() { d.able <- d.Able() }, slog.New(slog.NewTextHandler(d.logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if d.Able() == nil {
		t.Error("it is able before the program was asked")
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { _ = d.Run(ctx) })
	d.end = sync.OnceFunc(func() { cancel(); work.Wait() })
	t.Cleanup(d.end)
	if err := <-d.able; err != nil {
		t.Fatal(err)
	}
	return d
}

// lead begins a reign, and waits until the others can come.
func (d *desktop) lead(ctx context.Context) (r reign, addr string, over chan error) {
	d.t.Helper()
	r, over = newReign(), make(chan error, 1)
	go func() { over <- d.Lead(ctx, r.Reign) }()
	select {
	case addr = <-r.ready:
	case err := <-over:
		d.t.Fatalf("the reign ends with %v", err)
	}
	if term := <-r.terms; term != 21 {
		d.t.Errorf("term %d", term)
	}
	return r, addr, over
}

// until waits for what comes about.
func until(is func() bool) {
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !is() {
		<-look.C
	}
}

// Everything of a reign crosses; when nothing is owed the program ends, and is
// started again for the next one.
func TestAReignCrosses(t *testing.T) {
	d := newDesktop(t, t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	r, _, over := d.lead(ctx)
	until(func() bool { return d.Leads() && d.line.wanted("lead") })
	d.line.says(area.Trunk{Op: area.TrunkStored, Work: "w-1"})
	if got := <-d.line.said; got.Work != "w-1" || got.Area != "north" || got.Life == "" || got.Life == "hub" {
		t.Errorf("the hub hears %+v", got)
	}
	p := roster
	p.Rev = 7
	r.changed <- p
	if rev := <-r.heard; rev != 7 {
		t.Errorf("roster %d", rev)
	}
	r.rivals <- 40
	<-r.ready
	if term := <-r.terms; term != 41 {
		t.Errorf("after a rival: term %d", term)
	}
	d.line.mu.Lock()
	d.line.doc([]byte("roster"))
	d.line.mu.Unlock()
	if doc := <-r.docs; doc != "roster" {
		t.Errorf("document %q", doc)
	}
	stop()
	if err := <-over; err != nil {
		t.Errorf("the reign ends with %v", err)
	}
	until(func() bool { return d.Stats().PID == 0 })
	if d.line.wanted("lead") || owes(d.dir) {
		t.Errorf("afterwards: wanted %v, owes %v", d.line.wanted("lead"), owes(d.dir))
	}
	until(func() bool {
		return d.logs.has("level=WARN msg=\"it runs\" device=gate-1 n=12345678") && d.logs.has("a word without form")
	})
	if s := d.Stats(); s.Starts != 1 || s.Died != 0 {
		t.Errorf("%+v", s)
	}
	ctx, stop = context.WithCancel(t.Context())
	_, _, over = d.lead(ctx)
	stop()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// A reign ends as the program says.
func TestHowAReignEnds(t *testing.T) {
	d := newDesktop(t, t.TempDir())
	for reason, is := range map[string]func(error) bool{
		"hub":  func(err error) bool { return errors.Is(err, leader.ErrHubLeads) },
		"fail": func(err error) bool { return err != nil && err.Error() == "it cannot" },
		"die":  func(err error) bool { return err != nil && strings.Contains(err.Error(), "exit status 7") },
	} {
		_, _, over := d.lead(t.Context())
		d.line.says(area.Trunk{Op: area.TrunkStored, Work: "w-1", Reason: reason})
		if err := <-over; !is(err) {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if s := d.Stats(); s.Died != 1 {
		t.Errorf("%+v", s)
	}
	if d.Able() != nil {
		t.Errorf("a program that dies can be run: %v", d.Able())
	}
}

// What is owed of an earlier start of the device has the program run without a reign;
// on a device that has never led nothing runs.
func TestWhatIsOwed(t *testing.T) {
	d := newDesktop(t, t.TempDir())
	d.end()
	if s := d.Stats(); s.Starts != 0 {
		t.Errorf("it never led: %+v", s)
	}
	dir := t.TempDir()
	debt := filepath.Join(dir, "debt")
	for _, f := range []string{debt, filepath.Join(dir, database)} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d = newDesktop(t, dir)
	until(func() bool { return d.Stats().Owes })
	if err := os.Remove(debt); err != nil {
		t.Fatal(err)
	}
	until(func() bool { return d.Stats().PID == 0 })
	if owes(dir) {
		t.Error("it is still owed")
	}
	d.end()
	if s := d.Stats(); s.Starts != 1 || s.Died != 0 {
		t.Errorf("%+v", s)
	}
}

// A device that ends while it leads leaves no program behind.
func TestTheEndOfTheDevice(t *testing.T) {
	d := newDesktop(t, t.TempDir())
	_, addr, over := d.lead(t.Context())
	c := dial(t, addr)
	d.end()
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it still listens")
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	if !owes(d.dir) {
		t.Error("nothing is owed after a reign that was cut short")
	}
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A program that cannot be run is told of, and the reign fails.
func TestProbe(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct {
		path string
		want error
	}{
		"missing":       {filepath.Join(dir, "none"), ErrNoProgram},
		"other release": {write("old", "#!/bin/sh\necho tacet-leader v0.9 go\n", 0o755), ErrRelease},
		"not for here":  {write("strange", "\x7fELF of another processor\n", 0o755), ErrNotRun},
		"no program":    {write("plain", "echo tacet-leader v1\n", 0o644), ErrNotRun},
		"another one":   {write("other", "#!/bin/sh\necho hello\n", 0o755), ErrNotRun},
		"it fails":      {write("fails", "#!/bin/sh\nexit 1\n", 0o755), ErrNotRun},
		"fine":          {write("fine", "#!/bin/sh\necho tacet-leader v1 go\n", 0o755), nil},
	} {
		_, err := Probe(t.Context(), "v1", func() (string, error) { return c.path, nil })
		if !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	t.Setenv("PATH", dir)
	if _, err := Near(filepath.Join(dir, "tacet-device")); !errors.Is(err, ErrNoProgram) {
		t.Errorf("nowhere: %v", err)
	}
	at := write(Program, "#!/bin/sh\n", 0o755)
	for _, self := range []string{filepath.Join(dir, "tacet-device"), filepath.Join(t.TempDir(), "tacet-device"), ""} {
		if got, err := Near(self); got != at || err != nil {
			t.Errorf("beside %q: %q, %v", self, got, err)
		}
	}
}

// Without a program a device is not able, says so once and in its health, and refuses
// to lead.
func TestWithoutAProgram(t *testing.T) {
	logs := &lines{}
	changed := make(chan bool, 1)
	none := func() (string, error) { return "", ErrNoProgram }
	o, err := New(Config{Setup: Setup{Device: "gate-1", Dir: t.TempDir()}, Release: "v1", Find: none}, newLine(), since, func() { changed <- true }, slog.New(slog.NewTextHandler(logs, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	work.Go(func() { _ = o.Run(ctx) })
	<-changed
	h := &area.Health{Faults: map[string]string{}}
	o.Gauge(h)
	if !errors.Is(o.Able(), ErrNoProgram) || h.Faults["leader"] == "" || !logs.has("cannot lead its area") {
		t.Errorf("able %v, %v, log %s", o.Able(), h.Faults, logs.text.String())
	}
	if err := o.Lead(t.Context(), newReign().Reign); !errors.Is(err, ErrNoProgram) {
		t.Errorf("it leads: %v", err)
	}
}

// A program of another release ends before it has opened anything.
func TestAnotherRelease(t *testing.T) {
	d := newDesktop(t, t.TempDir())
	d.cfg.Release = "v2" // since it was asked
	err := d.Lead(t.Context(), newReign().Reign)
	if !errors.Is(err, ErrRelease) || !errors.Is(<-d.able, ErrRelease) {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(d.dir, database)); err == nil {
		t.Error("it has opened the database")
	}
}

// The kernel ends the program of a device that was killed.
func TestADeviceThatWasKilled(t *testing.T) {
	cmd := exec.Command(os.Args[0], "device", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := dial(t, first(t, out))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the program still leads")
	} else if errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}
