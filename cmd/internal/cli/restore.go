package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/backup"
)

const restoreHelp = `Make a data directory of a backup. The file is read and checked as a whole before
anything is put in its place: --dry-run does only that. FILE may be - for standard
input.

No hub may run on the directory. One that has something in it is refused; --force moves
it aside, to DATA.before-TIME, and deletes nothing. On Linux the two change places in
one step: after a power cut there is the one or the other.

What it means for areas that are in use: the hub knows nothing of what was granted since
the backup was made. So every area grants nothing at first, for its longest lease, as
after a crash; devices that play on say so meanwhile, and bring the number of the reign
under which they do. Where a lease was made longer since, or programs of the classic
kind announce by themselves, say with --wait for how long somebody may still sound (a
classic hold: 2m). With --force the old directory's word on that counts, being newer.
An order that had not ended when the backup was made, and has not expired, is done
again; a device that was enrolled since has to be enrolled again; one that was revoked
since is let in again: revoke it once more.

With several nodes: where the others have newer records, those win, and the restored
ones are brought up to date, unless --force was given: then the restored ones win, on
all nodes.

What the file says is believed: restore only what you have made.`

// backupRestore makes a data directory of a backup.
func backupRestore(env Env) *cobra.Command {
	var f hubFlags
	var dry bool
	to := backup.Target{Most: backup.MostBytes}
	c := &cobra.Command{Use: "restore FILE", Short: "Make the data directory of a hub of a backup", Long: restoreHelp, Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		if to.Wait < 0 || to.Wait > 24*time.Hour || to.Most < 1 {
			return Usagef("--wait is 0 to 24h, --most-bytes 1 or more")
		}
		in, done, err := openBackup(c, args[0])
		if err != nil {
			return err
		}
		defer done()
		to.Data, to.Now = f.directory(env), time.Now()
		var r backup.Restored
		if dry {
			r.Manifest, err = backup.Verify(c.Context(), in, to.Most)
		} else {
			r, err = backup.Restore(c.Context(), in, to)
		}
		if err != nil {
			return backupError(err)
		}
		warnOfDamage(c, r.Manifest)
		if f.json {
			return printManifest(c, r.Manifest)
		}
		return printRestored(c, r, to.Data, dry)
	}}
	fs := c.Flags()
	fs.StringVar(&f.data, "data", "", "data directory to make (TACET_DATA, default ./tacet-data)")
	fs.BoolVar(&f.json, "json", false, "print what the backup says of itself, as JSON")
	fs.BoolVar(&dry, "dry-run", false, "check the file, and list what is in it")
	fs.BoolVar(&to.Force, "force", false, "move a directory that is not empty aside; have the records win over those of other nodes")
	fs.DurationVar(&to.Wait, "wait", 0, "for how long each area grants nothing at least, after the start")
	fs.Int64Var(&to.Most, "most-bytes", backup.MostBytes, "refuse a backup that holds more")
	return c
}

// openBackup opens a file to read, or standard input.
func openBackup(c *cobra.Command, name string) (io.Reader, func(), error) {
	if name == "-" {
		return c.InOrStdin(), func() {}, nil
	}
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory, not a file", name)
	}
	if err != nil {
		return nil, nil, Usagef("%v", err)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, Usagef("%v", err)
	}
	return file, func() { _ = file.Close() }, nil
}

// warnOfDamage says what the hub had lost before the backup was made.
func warnOfDamage(c *cobra.Command, m backup.Manifest) {
	for _, table := range slices.Sorted(maps.Keys(m.Damaged)) {
		fmt.Fprintf(c.ErrOrStderr(), "%s: warning: of %s %d were damaged before, and are not in the backup\n", c.Root().Name(), printable(table), m.Damaged[table])
	}
}

func printManifest(c *cobra.Command, m backup.Manifest) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return printJSON(c, b)
}

// printRestored lists what is in a backup, and says what was done with it.
func printRestored(c *cobra.Command, r backup.Restored, data string, dry bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "made      %s %s, tacet %s\n", r.Made.UTC().Format(time.RFC3339), origin(r.Manifest), r.Version)
	for _, table := range slices.Sorted(maps.Keys(r.Records)) {
		fmt.Fprintf(&b, "records   %s %d\n", table, r.Records[table])
	}
	for _, dir := range []struct{ name, title string }{{"clips", "clips    "}, {"proof", "proof    "}, {"history", "history  "}} {
		if n, bytes := r.Count(dir.name); n > 0 {
			fmt.Fprintf(&b, "%s %d, %d bytes\n", dir.title, n, bytes)
		}
	}
	if !dry {
		fmt.Fprintf(&b, "restored  %s\n", data)
	}
	if r.Aside != "" {
		fmt.Fprintf(&b, "aside     %s\n", r.Aside)
	}
	for line := range strings.Lines(b.String()) {
		if _, err := fmt.Fprintln(c.OutOrStdout(), printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}
