package firmware

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/drivers/media"
	"github.com/tacet-hub/tacet/drivers/sim"
)

func memory(t *testing.T, dir string) *Memory {
	t.Helper()
	m, err := OpenMemory(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestEachStartCounts(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	mid := ""
	for want := uint64(1); want <= 3; want++ {
		m := memory(t, dir)
		if m.Boot() != want {
			t.Errorf("start %d has boot %d", want, m.Boot())
		}
		if mid != "" && m.MID() != mid {
			t.Errorf("the machine id changed from %s to %s", mid, m.MID())
		}
		mid = m.MID()
		if _, err := OpenMemory(dir); !errors.Is(err, ErrInUse) {
			t.Errorf("a second process: %v", err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m := memory(t, dir)
	if err := m.SetBoot(41); err != nil {
		t.Fatal(err)
	}
	m.Close()
	if m := memory(t, dir); m.Boot() != 42 {
		t.Errorf("after a handed out 41 comes %d", m.Boot())
	}
	if other := memory(t, t.TempDir()); other.MID() == mid {
		t.Error("two machines have one id")
	}
}

// TestCopiedMemory: of a device and a copy of it neither is a later start of the
// other.
func TestCopiedMemory(t *testing.T) {
	dir, copied := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	m := memory(t, dir)
	first := m.MID()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if other := memory(t, copied); other.MID() == first || other.Boot() != m.Boot()+1 {
		t.Errorf("the copy is machine %s, start %d; the first is %s, start %d", other.MID(), other.Boot(), first, m.Boot())
	}
	m.Close()
	if again := memory(t, dir); again.MID() != first {
		t.Errorf("the first one is machine %s now, and was %s", again.MID(), first)
	}
}

func TestDamagedMemory(t *testing.T) {
	cases := []struct {
		name, file, text string
		boot             uint64
	}{
		{"boot is no number: the hub hands one out", "boot", "x\x00", 0},
		{"boot is empty", "boot", "", 0},
		{"mid is empty: a new one", "mid", "", 1},
		{"journal is not text", "journal", "o-1\n\xff\xfe\no-2\no-", 1},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			m := memory(t, dir)
			if m.Boot() != c.boot || !area.IsID(m.MID()) {
				t.Errorf("boot %d, mid %q, want boot %d", m.Boot(), m.MID(), c.boot)
			}
			if c.file == "journal" && (!m.Played("o-1") || !m.Played("o-2") || m.Played("o-")) {
				t.Errorf("journal has %v, want o-1 and o-2", m.journal.works)
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenMemory(file); err == nil {
		t.Error("a file as directory: no error")
	}
}

func TestJournalKeepsTheLast256(t *testing.T) {
	dir := t.TempDir()
	m := memory(t, dir)
	const n = 1000
	for i := range n {
		for range 2 { // twice is once
			if err := m.Journal(area.WorkID(fmt.Sprintf("o-%d", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.journal.lines > 2*journalLen {
		t.Errorf("the file has %d lines", m.journal.lines)
	}
	m.Close()
	m = memory(t, dir)
	for i := range n {
		if got, want := m.Played(area.WorkID(fmt.Sprintf("o-%d", i))), i >= n-journalLen; got != want {
			t.Fatalf("Played(o-%d) = %v after opening again, want %v", i, got, want)
		}
	}
}

// killed is set for the process that TestKilledProcess starts and kills.
const killed = "TACET_TEST_KILLED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killed); dir != "" {
		if err := untilKilled(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// untilKilled plays for ever; it prints a line after each chunk.
func untilKilled(dir string) error {
	m, err := OpenMemory(dir)
	if err != nil {
		return err
	}
	a := sim.NewAudio(sim.Config{WAV: filepath.Join(dir, "sound.wav")})
	if err := a.Open(media.Rate, 1); err != nil {
		return err
	}
	a.Began("o-1", 7)
	for n := 0; ; n++ {
		if _, err := a.Write(media.Tone(440, chunk).Bytes()); err != nil {
			return err
		}
		if err := m.Journal(area.WorkID(fmt.Sprintf("o-%d", n))); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), killed+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := 0
	for s := bufio.NewScanner(out); lines < 10 && s.Scan(); lines++ {
	}
	if _, err := OpenMemory(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("while it runs: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	m := memory(t, dir)
	if m.Boot() != 2 || !m.Played("o-9") {
		t.Errorf("after it was killed: boot %d, o-9 played %v", m.Boot(), m.Played("o-9"))
	}
	b, err := os.ReadFile(filepath.Join(dir, "sound.wav"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := media.DecodeWAV(b)
	if err != nil || s.Duration() < 10*chunk-time.Millisecond {
		t.Errorf("recorded %v, %v, want at least %v", s.Duration(), err, 10*chunk)
	}
}
