package initrd

import (
	"bytes"
	"compress/gzip"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func sample() []File {
	return []File{
		{Name: "init", Mode: Regular | 0o755, Data: []byte("#!/bin/sh\n")},
		{Name: "dev/console", Mode: Character | 0o600, Dev: [2]uint32{5, 1}},
		{Name: "dev", Mode: Folder | 0o755},
		{Name: "etc", Mode: Folder | 0o755},
		{Name: "etc/empty", Mode: Regular | 0o644},
	}
}

// Another program reads the archive.
func TestCpioReadsIt(t *testing.T) {
	var packed bytes.Buffer
	if err := Write(&packed, sample()); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cpio", "-itv")
	cmd.Stdin = z
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"drwxr-xr-x   2 root", "crw-------   1 root     root       5,   1", "dev/console", "-rwxr-xr-x   1 root     root           10", "etc/empty"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

func TestSameFilesSameBytes(t *testing.T) {
	files := sample()
	var a, b bytes.Buffer
	if err := Write(&a, files); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	if err := Write(&b, files); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the order in which files are given shows")
	}
}

func TestRefused(t *testing.T) {
	for _, names := range [][]string{{"/init"}, {"a", "a"}, {""}} {
		var files []File
		for _, n := range names {
			files = append(files, File{Name: n, Mode: Regular})
		}
		if err := Write(&bytes.Buffer{}, files); err == nil {
			t.Errorf("%q was packed", names)
		}
	}
}
