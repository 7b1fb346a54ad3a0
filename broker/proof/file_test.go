package proof

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// written is a record of n lines in a fresh directory.
func written(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	f := reopened(t, dir)
	for i := range n {
		add(t, f, Record{T: int64(1000 + i), Is: Granted, Device: "d1", Token: area.Token(i + 1)})
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func reopened(t *testing.T, dir string) *files {
	t.Helper()
	f, err := openFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func add(t *testing.T, f *files, r Record) {
	t.Helper()
	if err := f.append(r); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, dir string) Verdict {
	t.Helper()
	v, err := CheckFiles(dir, "", "north", time.UnixMilli(0))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func newest(t *testing.T, dir string) string {
	t.Helper()
	list, err := segments(dir)
	if err != nil || len(list) == 0 {
		t.Fatal(list, err)
	}
	return list[len(list)-1]
}

// TestChangesAreFound: a record that was changed, taken out, put in or moved.
func TestChangesAreFound(t *testing.T) {
	for name, change := range map[string]func(lines [][]byte) [][]byte{
		"changed": func(l [][]byte) [][]byte {
			l[5] = bytes.Replace(l[5], []byte(`"d1"`), []byte(`"d2"`), 1)
			return l
		},
		"changed, with a sum of its own": func(l [][]byte) [][]byte {
			l[5], _ = line(Record{N: 6, T: 1, Is: Freed}, sum{})
			return l
		},
		"taken out":  func(l [][]byte) [][]byte { return append(l[:5:5], l[6:]...) },
		"put in":     func(l [][]byte) [][]byte { return append(l[:6:6], l[5:]...) },
		"moved":      func(l [][]byte) [][]byte { l[5], l[6] = l[6], l[5]; return l },
		"no record":  func(l [][]byte) [][]byte { l[5] = []byte("x\n"); return l },
		"empty line": func(l [][]byte) [][]byte { l[5] = []byte("\n"); return l },
		"no head":    func(l [][]byte) [][]byte { return l[1:] },
	} {
		t.Run(name, func(t *testing.T) {
			dir := written(t, 20)
			if v := check(t, dir); v.Broken != "" || v.Records != 21 {
				t.Fatalf("before: %+v", v)
			}
			content, err := os.ReadFile(newest(t, dir))
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.SplitAfter(bytes.TrimSuffix(content, []byte("\n")), []byte("\n"))
			lines[len(lines)-1] = append(lines[len(lines)-1], '\n')
			if err := os.WriteFile(newest(t, dir), bytes.Join(change(lines), nil), 0o600); err != nil {
				t.Fatal(err)
			}
			v := check(t, dir)
			if v.Broken == "" || v.OneVoice {
				t.Errorf("not found: %+v", v)
			}
			f := reopened(t, dir) // it goes on all the same
			add(t, f, Record{T: 2000, Is: Started})
			if err := f.close(); err != nil {
				t.Fatal(err)
			}
			if again := check(t, dir); again.Broken == "" {
				t.Errorf("forgotten after the next line: %+v", again)
			}
		})
	}
}

// TestCutLine: a line that a crash has cut short is no damage, wherever it was cut.
func TestCutLine(t *testing.T) {
	dir := written(t, 3)
	content, err := os.ReadFile(newest(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	last := len(lines[3])
	for cut := range last {
		dir := t.TempDir()
		path := filepath.Join(dir, filepath.Base(newest(t, written(t, 1))))
		if err := os.WriteFile(path, content[:len(content)-last+cut], 0o600); err != nil {
			t.Fatal(err)
		}
		f := reopened(t, dir)
		add(t, f, Record{T: 2000, Is: Started})
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		if v := check(t, dir); v.Broken != "" || v.Records != 4 {
			t.Fatalf("cut after %d bytes: %d records, %s", cut, v.Records, v.Broken)
		}
	}
}

// TestFilesAreBounded: files end at their size, the oldest go, and what is left is
// whole.
func TestFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	f := reopened(t, dir)
	f.most, f.keep = 8<<10, 16
	node := strings.Repeat("n", 900)
	for i := range (f.keep + 2) * 9 {
		add(t, f, Record{T: int64(i + 1), Is: Started, Node: node})
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	list, err := segments(dir)
	if err != nil || len(list) != f.keep {
		t.Fatalf("%d files, %v", len(list), err)
	}
	if v := check(t, dir); v.Broken != "" {
		t.Error(v.Broken)
	}
	if err := os.Remove(list[3]); err != nil {
		t.Fatal(err)
	}
	if v := check(t, dir); v.Broken == "" {
		t.Error("a file is gone, and nothing was said")
	}
}

// TestLongRecordsAreRead: the longest line that is ever written.
func TestLongRecordsAreRead(t *testing.T) {
	dir := t.TempDir()
	f := reopened(t, dir)
	id := strings.Repeat("d", 64)
	for range 2 {
		add(t, f, Record{T: 1, Is: Sounded, Device: area.DeviceID(id), Work: area.WorkID(id), Node: id, Token: 1 << 52, Boot: 1 << 52, At: 1 << 52, First: 1 << 52, Last: 1 << 52})
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		f = reopened(t, dir)
	}
	if v := check(t, dir); v.Broken != "" || v.Records != 3 {
		t.Error(fmt.Sprint(v))
	}
}
