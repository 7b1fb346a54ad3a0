package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tacet-hub/tacet/cmd/internal/release"
	"github.com/tacet-hub/tacet/cmd/internal/settings"
)

// Env is what the commands take from around them.
type Env struct {
	Getenv  func(string) string // os.Getenv
	Environ func() []string     // os.Environ
	Version string              // of the program; empty: what the build says
}

// Add puts the operator's commands below root.
func Add(root *cobra.Command, env Env) {
	askFor(root)
	release.Flag(root, cmp.Or(env.Version, release.Version()))
	root.AddCommand(
		say(env), stop(env), queue(env), health(env), version(env),
		group("area", "Areas", areaList(env), areaShow(env), areaProof(env), areaKey(env), areaRemove(env)),
		group("device", "Players and sensors", deviceList(env), deviceShow(env), deviceIdentify(env), deviceRestart(env), deviceUpdate(env), deviceCredentials(env), deviceEnrol(env), deviceRevoke(env), deviceRemove(env)),
		group("token", "Tokens of programs", tokenList(env), tokenCreate(env), tokenDelete(env)),
		group("user", "People", userLogin(env), userLogout(env), userHash(env)),
		group("schedule", "Schedules", scheduleList(env)),
		group("sensor", "Sensors, and how their topics are read", sensorList(env), sensorShow(env), sensorAssign(env), sensorMap(env), sensorMappings(env), sensorUnmap(env)),
		group("order", "Orders", orderShow(env)),
		group("node", "Nodes of the hub", nodeList(env), nodeShow(env)),
		backupMake(env), backupRestore(env),
		group("clip", "Sound files", clipAdd(env), clipList(env), clipRemove(env)),
		updateGroup(env),
		group("config", "The configuration", configCheck(env)),
	)
}

// Execute runs root with the arguments after the program's name and answers the
// exit code. It writes errors to stderr. It blocks until the command is done;
// the command ends early with ctx.
func Execute(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return Usagef("%v%s", err, nearFlag(c, err)) })
	askFor(root)
	err := root.ExecuteContext(ctx)
	if err != nil {
		report(stderr, root.Name(), err)
	}
	return exitOf(err)
}

// nearFlag names the flag that an unknown one may have been meant for.
func nearFlag(c *cobra.Command, err error) string {
	wrong, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return ""
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	if near := settings.Nearest(wrong, names); near != "" {
		return "; did you mean --" + near + "?"
	}
	return ""
}

// group is a command that has nothing but commands below it.
func group(name, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short}
	c.AddCommand(below...)
	askFor(c)
	return c
}

// askFor makes a command that does nothing itself show its help, and refuse a
// command that it has not.
func askFor(c *cobra.Command) {
	if c.Runnable() {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		c.SuggestionsMinimumDistance = 2
		hint := ""
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return Usagef("unknown command %q of %s%s", args[0], c.CommandPath(), hint)
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

// exactly wants n arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return Usagef("%s takes %s, not %d; usage: %s", c.CommandPath(), arguments(n), len(args), c.UseLine())
		}
		return nil
	}
}

func arguments(n int) string {
	switch n {
	case 0:
		return "no arguments"
	case 1:
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}
