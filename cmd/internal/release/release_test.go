package release

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"
)

// A program that says two versions is not signed as one of them.
func TestOf(t *testing.T) {
	stamped := func(v string) string { return "xx" + mark + v + markEnd + "yy" }
	for _, c := range []struct {
		program string
		want    string
		bad     bool
	}{
		{program: mark + "x" + mark},
		{program: stamped("v1.4.0"), want: "v1.4.0"},
		{program: stamped("v1.4.0-rc.1+a") + stamped("v1.4.0-rc.1+a"), want: "v1.4.0-rc.1+a"},
		{program: stamped("v1.4.0") + stamped("v1.5.0"), bad: true},
	} {
		if got, err := Of([]byte(c.program)); (err != nil) != c.bad || err == nil && got != c.want {
			t.Errorf("%q: %q, %v", c.program, got, err)
		}
	}
}

// make build has the linker told what Of finds, and nothing where there is no
// version.
func TestMakeStamps(t *testing.T) {
	for given, want := range map[string]string{"1.2.3": "v1.2.3", "v1.2.3": "v1.2.3", "": ""} {
		cmd := exec.Command("make", "-n", "build", "VERSION="+given)
		cmd.Dir = filepath.Join("..", "..", "..")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !bytes.Contains(out, []byte("internal/release.stamp="+mark)) && want != "" {
			t.Errorf("VERSION=%s: %s", given, out)
		}
		if got, err := Of(out); got != want || err != nil {
			t.Errorf("VERSION=%s: %q, %v, want %q", given, got, err, want)
		}
	}
}
