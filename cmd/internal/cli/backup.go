package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/store"
	"github.com/tacet-hub/tacet/cmd/internal/backup"
	"github.com/tacet-hub/tacet/cmd/internal/release"
)

const backupHelp = `Put all that a hub keeps into one file: areas, devices, people's tokens and the
devices' credentials, schedules, orders, mappings, retained messages and sessions, the
arbiters' ledger, sound files, and the record of what sounded. What sensors measured is
in it with --history. Not in it: the configuration and the files that it names, and the
programs of devices that "tacet update publish" has put there.

It is taken from a running hub, which goes on; it needs the right to administer. Where
--data names the directory of a hub that does not run, it is read there.

The file holds secrets: hashes of passwords and tokens, keys of areas, texts of
announcements. It is made for its owner alone; keep it so. FILE may be - for standard
output, as in: tacet backup - | age -r KEY > hub.age`

// backupMake makes a backup.
func backupMake(env Env) *cobra.Command {
	var f hubFlags
	var history bool
	c := &cobra.Command{Use: "backup FILE", Short: "Put all that a hub keeps into one file", Long: backupHelp, Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		take := func(w io.Writer) error { return f.takeBackup(c.Context(), env, w, history) }
		m, err := keepBackup(c, args[0], take)
		if err != nil {
			return err
		}
		warnOfDamage(c, m)
		if args[0] == "-" {
			return nil
		}
		if f.json {
			return printManifest(c, m)
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), printable(fmt.Sprintf("%s: %s, %d records, %d bytes", args[0], origin(m), records(m), m.Bytes())))
		return err
	}}
	f.register(c)
	c.Flags().BoolVar(&history, "history", false, "what sensors measured, too")
	return c
}

// takeBackup writes a backup: of the directory of --data where no hub has it, else of
// the hub.
func (f *hubFlags) takeBackup(ctx context.Context, env Env, w io.Writer, history bool) error {
	if f.url == "" && (f.data != "" || env.Getenv("TACET_DATA") != "") {
		head := backup.Head{Version: release.Version(), Made: time.Now().UTC()}
		_, err := backup.Write(ctx, w, backup.Closed(f.directory(env), head, history))
		if !errors.Is(err, store.ErrInUse) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) && env.Getenv("TACET_URL") == "" {
			return &Error{Exit: ExitFailed, Code: string(area.CodeNotFound), Detail: "nothing of a hub is kept in " + f.directory(env)}
		}
	}
	hub, err := f.client(env)
	if err != nil {
		return err
	}
	path := "/backup"
	if history {
		path += "?history=true"
	}
	return hub.download(ctx, path, w)
}

// download writes the answer to a request below /api/v1, however long that takes.
func (c *client) download(ctx context.Context, path string, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/api/v1"+path, nil)
	if err != nil {
		return Usagef("%v", err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	endless := *c.http
	endless.Timeout = 0
	res, err := endless.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(res.Body, maxAnswer)) // what came of it says enough
		return refusal(res, answer)
	}
	if _, err = io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("%s: %w", c.base, err)
	}
	return nil
}

// keepBackup writes a backup to a file, which appears once all of it was read again
// and is well, or to standard output.
func keepBackup(c *cobra.Command, name string, take func(io.Writer) error) (backup.Manifest, error) {
	if name == "-" {
		return checked(c.Context(), c.OutOrStdout(), take)
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return backup.Manifest{}, Usagef("%s is there already", name)
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*") // for its owner alone
	if err != nil {
		return backup.Manifest{}, Usagef("%v", err)
	}
	defer os.Remove(file.Name()) // fails where it was renamed
	out := bufio.NewWriterSize(file, 1<<20)
	m, err := checked(c.Context(), out, take)
	if err == nil {
		err = out.Flush()
	}
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return m, err
	}
	return m, os.Rename(file.Name(), name)
}

// checked has a backup written and reads it at the same time.
func checked(ctx context.Context, w io.Writer, take func(io.Writer) error) (m backup.Manifest, err error) {
	r, to := io.Pipe()
	var bad error
	var reader sync.WaitGroup
	reader.Go(func() {
		m, bad = backup.Verify(ctx, r, 1<<62)
		_ = r.CloseWithError(bad) // nil: whoever writes on learns that nobody reads
	})
	err = take(io.MultiWriter(w, to))
	_ = to.CloseWithError(err) // nil: the end
	reader.Wait()
	if err == nil || errors.Is(err, bad) {
		err = backupError(bad)
	}
	return m, err
}

// backupError is an error of a backup as the command line tells it.
func backupError(err error) error {
	for code, is := range map[string]error{
		"foreign": backup.ErrForeign, "newer": backup.ErrNewer, "damaged": backup.ErrDamaged, "too_large": backup.ErrTooLarge,
	} {
		if errors.Is(err, is) {
			return &Error{Exit: ExitFailed, Code: code, Detail: err.Error()}
		}
	}
	for code, is := range map[string]error{"not_empty": backup.ErrNotEmpty, "running": backup.ErrRunning} {
		if errors.Is(err, is) {
			return &Error{Exit: ExitRefused, Code: code, Detail: err.Error()}
		}
	}
	return err
}

// origin is whose a backup is: only a hub that runs knows its name.
func origin(m backup.Manifest) string {
	if m.Node == "" {
		return "of a hub that did not run"
	}
	return "of node " + m.Node
}

func records(m backup.Manifest) (n int) {
	for _, r := range m.Records {
		n += r
	}
	return n
}
