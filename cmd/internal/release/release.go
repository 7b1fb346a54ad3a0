package release

import (
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// stamp is the version of a build that was given one, between marks by which
// [Of] finds it in a program that is stripped or for another processor:
// -ldflags '-X github.com/tacet-hub/tacet/cmd/internal/release.stamp=tacet-release:v1.4.0:'.
// Only the linker sets it.
var stamp string

const (
	mark    = "tacet-release:"
	markEnd = ":"
)

var form = regexp.MustCompile(mark + `(v[0-9][0-9A-Za-z.+-]{0,63})` + markEnd)

// Of is the release that a program was built as, by its bytes; empty: it was
// given none. It fails where there are two. -trimpath keeps the linker's flags out of what Go notes of a build,
// so they do not tell it.
func Of(program []byte) (string, error) {
	found := ""
	for _, m := range form.FindAllSubmatch(program, -1) {
		v := string(m[1])
		if found != "" && v != found {
			return "", fmt.Errorf("it has the versions %s and %s", found, v)
		}
		found = v
	}
	return found, nil
}

// Version is what the build was given, else what it noted: a tag, else the
// commit, else "devel".
func Version() string {
	if stamp != "" {
		return strings.TrimSuffix(strings.TrimPrefix(stamp, mark), markEnd)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}

// Build is a version, and what it was built by and for.
func Build(version string) string {
	return fmt.Sprintf("%s %s %s/%s", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// Flag gives a program -v and --version, which print what its command version
// does. A template of cobra would do it too, and have the linker keep every method
// of every type, 2 MB of them, since a template may call it by name. The root must run.
func Flag(root *cobra.Command, version string) {
	asked := root.Flags().BoolP("version", "v", false, "version for "+root.Name())
	run := root.RunE
	root.RunE = func(c *cobra.Command, args []string) error {
		if !*asked {
			return run(c, args)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s\n", c.Name(), Build(version))
		return err
	}
}
