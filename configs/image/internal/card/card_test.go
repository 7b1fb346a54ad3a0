package card

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bootFiles are of every shape that the boot partition has: short and long
// names, a folder, one that is no multiple of a cluster.
func bootFiles() map[string][]byte {
	big := bytes.Repeat([]byte("0123456789abcdef"), 3*MiB/16+1)
	return map[string][]byte{
		"vmlinuz": big[:len(big)-5], "initrd.img": big[:MiB], "bcm2710-rpi-3-b-plus.dtb": []byte("tree"),
		"overlays/w1-gpio.dtbo": []byte("overlay"), "overlays/README": []byte("x"), "tacet.yaml": []byte("device: gate-1\n"),
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "MTOOLS_SKIP_CHECK=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// cut writes a part of a file to another one.
func cut(t *testing.T, from string, at, size int64) string {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(t.TempDir(), "partition"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(in, at, size)); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

func sum(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// The checkers of both file systems find nothing, and what was put in comes out
// byte for byte, by programs that are not ours.
func TestWrite(t *testing.T) {
	image := filepath.Join(t.TempDir(), "sd.img")
	files := bootFiles()
	if err := Write(image, Config{Boot: files}); err != nil {
		t.Fatal(err)
	}
	if s, err := os.Stat(image); err != nil || s.Size() != MinSize {
		t.Fatalf("the image: %v, %v", s, err)
	}
	boot := cut(t, image, bootStart, bootSize)
	run(t, "fsck.fat", "-n", "-v", boot)
	run(t, "fsck.ext4", "-f", "-n", cut(t, image, dataStart, MinSize-dataStart))
	for name, f := range files {
		got := run(t, "mtype", "-i", boot, "::"+name)
		if got != string(f) {
			t.Errorf("%s: %d bytes came out, want %d", name, len(got), len(f))
		}
	}
}

// A person edits a file on any PC; it reads back, and the file system is sound.
func TestEdited(t *testing.T) {
	image := filepath.Join(t.TempDir(), "sd.img")
	if err := Write(image, Config{Boot: bootFiles()}); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(t.TempDir(), "mine.yaml")
	text := "device: gate-2\nname: " + strings.Repeat("long ", 1000) + "\n"
	if err := os.WriteFile(mine, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("%s@@%d", image, bootStart)
	run(t, "mcopy", "-o", "-i", at, mine, "::tacet.yaml")
	run(t, "mcopy", "-i", at, mine, "::ca.pem")
	if got := run(t, "mtype", "-i", at, "::tacet.yaml"); got != text {
		t.Errorf("what was edited reads back as %.40q…", got)
	}
	run(t, "fsck.fat", "-n", cut(t, image, bootStart, bootSize))
}

func TestSameInputSameBytes(t *testing.T) {
	for _, size := range []int64{MinSize, 512 * MiB} { // with and without copies of the superblock
		a, b := filepath.Join(t.TempDir(), "a.img"), filepath.Join(t.TempDir(), "b.img")
		for _, path := range []string{a, b} {
			if err := Write(path, Config{Size: size, Boot: bootFiles()}); err != nil {
				t.Fatal(err)
			}
		}
		if sum(t, a) != sum(t, b) {
			t.Errorf("two images of %d MiB differ", size/MiB)
		}
		run(t, "fsck.ext4", "-f", "-n", cut(t, a, dataStart, size-dataStart))
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	cases := map[string]struct {
		cfg  Config
		want string
	}{
		"small":          {Config{Size: 128 * MiB, Boot: bootFiles()}, "power of two"},
		"no power":       {Config{Size: 300 * MiB, Boot: bootFiles()}, "power of two"},
		"large":          {Config{Size: 16384 * MiB, Boot: bootFiles()}, "power of two"},
		"nothing":        {Config{}, "no files"},
		"empty file":     {Config{Boot: map[string][]byte{"initrd.img": nil}}, "initrd.img: the file is empty"},
		"deep folder":    {Config{Boot: map[string][]byte{"a/b/c": []byte("x")}}, "a/b/c"},
		"no path":        {Config{Boot: map[string][]byte{"../c": []byte("x")}}, "../c"},
		"more than fits": {Config{Boot: map[string][]byte{"vmlinuz": make([]byte, bootSize)}}, "vmlinuz"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, "sd.img")
			if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Write(path, c.cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if b, _ := os.ReadFile(path); string(b) != "before" {
				t.Error("what was there is gone")
			}
			if left, _ := filepath.Glob(path + ".*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
