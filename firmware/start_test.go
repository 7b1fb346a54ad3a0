package firmware

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

func TestReasonOfAStart(t *testing.T) {
	for name, c := range map[string]struct {
		before run
		on     Machine
		want   string
	}{
		"the first":              {run{}, Machine{Kernel: "a"}, area.BootPowerOn},
		"machine started":        {run{State: runGood, Kernel: "a"}, Machine{Kernel: "b"}, area.BootPowerOn},
		"after an end":           {run{State: runEnded, Ended: area.BootOrderly, Kernel: "a"}, Machine{Kernel: "a"}, area.BootOrderly},
		"after an end and power": {run{State: runEnded, Ended: area.BootOrderly, Kernel: "a"}, Machine{Kernel: "b"}, area.BootPowerOn},
		"told to restart":        {run{State: runEnded, Ended: endRestart, Kernel: "a"}, Machine{Kernel: "a"}, area.BootOrderly},
		"update":                 {run{State: runEnded, Ended: area.BootUpdate, Kernel: "a"}, Machine{Kernel: "a"}, area.BootUpdate},
		"update and reboot":      {run{State: runEnded, Ended: area.BootUpdate, Kernel: "a"}, Machine{Kernel: "b"}, area.BootUpdate},
		"crash":                  {run{State: runGood, Kernel: "a"}, Machine{Kernel: "a"}, area.BootCrash},
		"early crash":            {run{State: runBegun, Kernel: "a"}, Machine{Kernel: "a"}, area.BootCrash},
		"hung":                   {run{State: runGood, Hung: "the audio loop", Kernel: "a"}, Machine{Kernel: "b"}, area.BootWatchdog},
		"the watchdog says so":   {run{State: runGood, Kernel: "a"}, Machine{Kernel: "b", Reset: true}, area.BootWatchdog},
	} {
		if _, s := c.before.next(c.on); s.Reason != c.want {
			t.Errorf("%s: %s, want %s", name, s.Reason, c.want)
		}
	}
}

// life is the runs of a device, each for so long and with such an end.
type life struct {
	now   time.Time
	r     run
	start Start
}

func (l *life) begin(m Machine) {
	m.Kernel, m.Now = "a", l.now
	if m.Clock == "" {
		m.Clock = area.ClockSynced
	}
	l.r, l.start = l.r.next(m)
}

func (l *life) crash(after time.Duration) { l.now = l.now.Add(after) }

func TestSafeModeAfterFailedStarts(t *testing.T) {
	fail := func(l *life, n int, apart time.Duration, m Machine) {
		for range n {
			l.begin(m)
			l.crash(apart)
		}
	}
	safe := func(t *testing.T, l *life, m Machine, want bool) {
		t.Helper()
		if l.begin(m); l.start.Safe != want {
			t.Errorf("start = %+v, want safe %v", l.start, want)
		}
	}
	known, unknown := Machine{}, Machine{Clock: area.ClockUnknown}
	began := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	t.Run("four are borne", func(t *testing.T) {
		l := life{now: began}
		fail(&l, 4, time.Second, known)
		safe(t, &l, known, false)
	})
	t.Run("five are not", func(t *testing.T) {
		l := life{now: began}
		fail(&l, 5, 30*time.Second, known)
		safe(t, &l, known, true)
	})
	t.Run("good ones between", func(t *testing.T) {
		l := life{now: began}
		for range 5 {
			fail(&l, 4, time.Second, known)
			l.begin(known)
			l.r.State, l.r.Failed = runGood, nil
		}
		safe(t, &l, known, false)
	})
	t.Run("over a day", func(t *testing.T) {
		l := life{now: began}
		fail(&l, 20, time.Hour, known)
		safe(t, &l, known, false)
	})
	t.Run("without a clock", func(t *testing.T) {
		l := life{now: time.Unix(3, 0)}
		fail(&l, 5, 0, unknown)
		safe(t, &l, unknown, true)
	})
	t.Run("the clock is set in between", func(t *testing.T) {
		l := life{now: time.Unix(3, 0)}
		fail(&l, 3, 0, unknown)
		l.now = began
		fail(&l, 2, time.Second, known)
		safe(t, &l, known, true)
	})
	t.Run("it lasts", func(t *testing.T) {
		l := life{now: began}
		fail(&l, 5, time.Second, known)
		for range 3 {
			safe(t, &l, known, true)
			l.now = l.now.Add(24 * time.Hour)
			l.r.State = runGood
		}
		l.r.State, l.r.Ended = runEnded, area.BootOrderly
		safe(t, &l, known, true)
	})
	for name, leave := range map[string]func(l *life, m *Machine){
		"told to restart":       func(l *life, _ *Machine) { l.r.State, l.r.Ended = runEnded, endRestart },
		"update":                func(l *life, _ *Machine) { l.r.State, l.r.Ended = runEnded, area.BootUpdate },
		"another configuration": func(_ *life, m *Machine) { m.Settings = "other" },
	} {
		t.Run("left by: "+name, func(t *testing.T) {
			l, m := life{now: began}, Machine{}
			fail(&l, 5, time.Second, known)
			safe(t, &l, m, true)
			leave(&l, &m)
			safe(t, &l, m, false)
			if l.start.Failed != 0 {
				t.Errorf("start = %+v", l.start)
			}
		})
	}
}

func TestDiary(t *testing.T) {
	dir := t.TempDir()
	lines := filepath.Join(t.TempDir(), "lines")
	on := Machine{Kernel: "a", Now: time.Now(), Clock: area.ClockSet}
	open := func(want string) *Memory {
		t.Helper()
		m := memory(t, dir)
		s, err := m.Begin(on, lines)
		if err != nil || s.Reason != want {
			t.Errorf("start = %+v, %v, want %s", s, err, want)
		}
		return m
	}
	m := open(area.BootPowerOn)
	if m.Crash() != nil {
		t.Error("a crash before the first start")
	}
	for _, err := range []error{m.Good(), m.Ended(area.BootOrderly), m.Ended(area.BootUpdate), m.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	m = open(area.BootOrderly) // the first word counts
	if err := os.WriteFile(lines, []byte(strings.Repeat("a line\n", 5000)+"the last line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.CrashFile(), []byte("panic: no more\n"+strings.Repeat("goroutine\n", 5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = m.Close()
	m = open(area.BootCrash)
	kept := m.Crash()
	if at := slices.Index(kept, "panic: no more"); at < 100 || kept[0] != "a line" || kept[at-1] != "the last line" || kept[len(kept)-1] != "goroutine" || len(strings.Join(kept, "\n")) > crashLength {
		t.Errorf("%d lines are kept, what happened is %d of them", len(kept), at)
	}
	if err := m.Sent(); err != nil || m.Crash() != nil || m.Sent() != nil {
		t.Errorf("sent: %v", err)
	}
	_ = m.Close()
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = open(area.BootPowerOn).Close() // damaged: of which machine it was is not known
}

// Three writes a run, whatever is noted again.
func TestDiaryWritesLittle(t *testing.T) {
	dir := t.TempDir()
	m := memory(t, dir)
	if _, err := m.Begin(Machine{}, ""); err != nil {
		t.Fatal(err)
	}
	if err := m.Good(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "run")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, _ = m.Good(), m.Hung("")
	}
	if _, err := os.Stat(filepath.Join(dir, "run")); err == nil {
		t.Error("what has not changed was written")
	}
}
