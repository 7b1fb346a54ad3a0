package firmware

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Begin notes that a run begins, and answers how it came about. lines is the file
// in which the run before kept its log ([Ring.Keep]), empty where there is none:
// after a crash its last 16 KiB are kept ([Memory.Crash]), with what the runtime
// said of it ([Memory.CrashFile]). Without Begin nothing of a run is noted.
func (m *Memory) Begin(on Machine, lines string) (Start, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var before run
	if b, err := os.ReadFile(m.path("run")); err == nil {
		if json.Unmarshal(b, &before) != nil {
			before = run{State: runBegun} // it is damaged: whatever ended the run
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		return Start{}, err
	}
	now, s := before.next(on)
	var kept error
	if s.Reason == area.BootCrash || s.Reason == area.BootWatchdog {
		kept = m.keepCrash(before.Hung, lines)
	}
	m.run, m.begun = now, true
	return s, errors.Join(kept, m.note())
}

// keepCrash keeps what is known of the end of the run before.
func (m *Memory) keepCrash(hung, lines string) error {
	said := head(m.CrashFile(), crashLength/2) // what happened comes first, who else was there after it
	var b bytes.Buffer
	if lines != "" {
		b.Write(tail(lines, crashLength-int64(len(said))))
	}
	if hung != "" {
		b.WriteString("no longer fed the watchdog: " + hung + "\n")
	}
	b.Write(said)
	if err := os.Remove(m.CrashFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if b.Len() == 0 {
		b.WriteString("it ended without a word, as by a loss of power or a kill\n")
	}
	return replace(m.path("crash"), b.String())
}

// CrashFile is where the runtime is to write what it says when it dies.
func (m *Memory) CrashFile() string { return m.path("panic") }

// Crash is the last lines of the last run that crashed or hung, oldest first; nil
// where there was none, or they were sent ([Memory.Sent]).
func (m *Memory) Crash() []string {
	b, err := os.ReadFile(m.path("crash"))
	if err != nil || len(b) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// Crashed tells, of the memory in a directory, whoever has it open, how many lines
// of a crash wait to be sent.
func Crashed(dir string) int { return len((&Memory{dir: dir}).Crash()) }

// Sent notes that the last lines of a crash were sent, and forgets them.
func (m *Memory) Sent() error {
	err := os.Remove(m.path("crash"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Good notes that the run has lived for a while: it did not fail.
func (m *Memory) Good() error {
	return m.amend(func(r *run) {
		r.State = runGood
		if !r.Safe {
			r.Failed = nil
		}
	})
}

// Hung notes what has made no progress, before the watchdog ends the run; an
// empty text takes it back.
func (m *Memory) Hung(what string) error { return m.amend(func(r *run) { r.Hung = what }) }

// Ended notes an orderly end. How is one of the Boot reasons of package area:
// orderly, or update where another version starts next, which begins with a clean
// record of failed starts. The first word counts.
func (m *Memory) Ended(how string) error {
	return m.amend(func(r *run) {
		if r.State != runEnded {
			r.State, r.Ended = runEnded, how
		}
	})
}

// amend changes what is noted of the run.
func (m *Memory) amend(change func(*run)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.run
	change(&m.run)
	if !m.begun || m.run.same(before) {
		return nil
	}
	return m.note()
}

func (m *Memory) note() error {
	b, err := json.Marshal(m.run)
	if err != nil {
		return err
	}
	return m.write("run", string(b))
}

func (r run) same(o run) bool {
	return r.State == o.State && r.Ended == o.Ended && r.Hung == o.Hung && slices.Equal(r.Failed, o.Failed)
}

// SetTime keeps the wall clock's time: what has passed when the next start comes.
func (m *Memory) SetTime(t time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.write("time", t.UTC().Format(time.RFC3339))
}

// Time is the time that was last kept; the zero time where there is none.
func (m *Memory) Time() time.Time { return KeptTime(m.dir) }

// KeptTime is [Memory.Time] of the memory in a directory, whoever has it open.
func KeptTime(dir string) time.Time {
	t, err := time.Parse(time.RFC3339, oneLine(filepath.Join(dir, "time")))
	if err != nil {
		return time.Time{}
	}
	return t
}

// oneLine is the text of a small file; empty where it cannot be read.
func oneLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (m *Memory) path(name string) string { return filepath.Join(m.dir, name) }
