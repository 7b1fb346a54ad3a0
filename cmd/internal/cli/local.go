package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/release"
)

// version prints what was built.
func version(env Env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		v := cmp.Or(env.Version, release.Version())
		if asJSON {
			body, err := json.Marshal(map[string]string{"version": v, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH})
			if err != nil {
				return err
			}
			return printJSON(c, body)
		}
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s %s\n", c.Root().Name(), release.Build(v))
		return err
	}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
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
