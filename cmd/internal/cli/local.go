package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
)

// version prints what was built.
func version(env Env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		v := cmp.Or(env.Version, Version())
		if asJSON {
			body, err := json.Marshal(map[string]string{"version": v, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			if err != nil {
				return err
			}
			return printJSON(c, body)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s\n", c.Root().Name(), Build(v))
		return err
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// release is the version of a build that was given one, between marks by which
// [stamped] finds it in a program that is stripped or for another processor:
// -ldflags '-X github.com/tacet-hub/tacet/cmd/internal/cli.release=tacet-release:v1.4.0:'.
// Only the linker sets it.
var release string

const (
	releaseMark = "tacet-release:"
	releaseEnd  = ":"
)

var releaseForm = regexp.MustCompile(releaseMark + `(v[0-9][0-9A-Za-z.+-]{0,63})` + releaseEnd)

// stamped is the release that a program was built as, by its bytes; empty: it was
// given none. -trimpath keeps the linker's flags out of what Go notes of a build,
// so they do not tell it.
func stamped(program []byte) (string, error) {
	found := ""
	for _, m := range releaseForm.FindAllSubmatch(program, -1) {
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
	if release != "" {
		return strings.TrimSuffix(strings.TrimPrefix(release, releaseMark), releaseEnd)
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

// VersionFlag gives a program -v and --version, which print what its command version
// does. A template of cobra would do it too, and have the linker keep every method
// of every type, 2 MB of them, since a template may call it by name.
func VersionFlag(root *cobra.Command, version string) {
	askFor(root)
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

// configCheck reads the configuration, and the files that it names, as serve
// would, and says what is wrong with them.
func configCheck(env Env) *cobra.Command {
	var f conf.Flags
	c := &cobra.Command{Use: "check", Short: "Check the configuration, as serve would read it", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		got, err := conf.Check(conf.Default(), f, env.Environ())
		for _, w := range got.Warnings {
			fmt.Fprintf(c.ErrOrStderr(), "%s: warning: %s\n", c.Root().Name(), printable(w))
		}
		if err != nil {
			return err
		}
		name := got.Process.Config
		if name == "" {
			name = "no file"
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "ok: %s: %d areas, %d mappings, %d schedules\n", name, len(got.Areas), len(got.Mappings), len(got.Schedules))
		return err
	}}
	f.Register(c.Flags())
	return c
}
