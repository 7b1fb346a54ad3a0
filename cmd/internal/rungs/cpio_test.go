//go:build linux

package rungs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// entryOf is one entry of an archive, read by the format's description.
type entryOf struct {
	name         string
	mode         int
	major, minor int
	content      string
}

func unpack(t *testing.T, raw []byte) (out []entryOf) {
	t.Helper()
	for {
		if len(raw) < 110 || string(raw[:6]) != "070701" {
			t.Fatalf("no header at %q", raw[:min(len(raw), 20)])
		}
		field := func(i int) int {
			n, err := strconv.ParseInt(string(raw[6+8*i:14+8*i]), 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		up := func(n int) int { return (n + 3) / 4 * 4 }
		size, nameSize := field(6), field(11)
		body := up(110 + nameSize)
		e := entryOf{string(raw[110 : 110+nameSize-1]), field(1), field(9), field(10), string(raw[body : body+size])}
		if raw = raw[body+up(size):]; e.name == "TRAILER!!!" {
			if len(raw) > 0 {
				t.Errorf("%d bytes behind the end", len(raw))
			}
			return out
		}
		out = append(out, e)
	}
}

func TestGuestBecomesAnArchive(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	g := Guest{Name: "g", Init: write("probe", "elf"), Files: map[string]string{"/bin/tacet-device": write("device", "elf2")},
		Texts: map[string]string{"/etc/tacet/device.yaml": "device: gate-1\n"}, Modules: []string{write("b.ko", "b"), write("a.ko", "a")},
		Env: map[string]string{"HW_SUITES": "gpio", "HW_NAME": "g"}}
	file := filepath.Join(dir, "g.img")
	if err := g.initrd(file); err != nil {
		t.Fatal(err)
	}
	packed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range unpack(t, raw) {
		if e.name == "seed" && len(e.content) == 64 {
			continue // another one each time
		}
		got = append(got, fmt.Sprintf("%s %o %d,%d %q", e.name, e.mode, e.major, e.minor, e.content))
	}
	want := []string{
		`dev 40755 0,0 ""`, `dev/console 20600 5,1 ""`, `dev/null 20666 1,3 ""`,
		`bin 40755 0,0 ""`, `bin/tacet-device 100755 0,0 "elf2"`, `init 100755 0,0 "elf"`,
		`modules 40755 0,0 ""`, `modules/a.ko 100755 0,0 "a"`, `modules/b.ko 100755 0,0 "b"`, `modules/order 100644 0,0 "/modules/b.ko\n/modules/a.ko\n"`,
		`etc 40755 0,0 ""`, `etc/tacet 40755 0,0 ""`, `etc/tacet/device.yaml 100600 0,0 "device: gate-1\n"`,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the archive has\n%q\nwant\n%q", got, want)
	}
	if words := fmt.Sprint(g.words()); words != "[HW_NAME=g HW_SUITES=gpio]" {
		t.Errorf("words of the kernel: %s", words)
	}
	g.Init = filepath.Join(dir, "none")
	if err := g.initrd(file); !os.IsNotExist(err) {
		t.Errorf("without a first process: %v", err)
	}
}
