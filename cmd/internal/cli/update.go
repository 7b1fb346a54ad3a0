package cli

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tacet-hub/tacet/cmd/internal/conf"
	"github.com/tacet-hub/tacet/cmd/internal/release"
	"github.com/tacet-hub/tacet/firmware/update"
)

// updateHelp says how the three commands follow each other.
const updateHelp = `A device takes a program only from who has the private key whose public half is
in its configuration (updates.keys). Once: tacet update key FILE makes the pair.
Keep the file where the hub is not: who has it can replace every device's program.
For each version: make build VERSION=1.2.3 builds a program that knows its version;
tacet update sign PROGRAM --key FILE has PROGRAM, which is tacet-device, carry the
tacet-leader that lies beside it, so that they are one file, and writes PROGRAM.update; tacet update publish PROGRAM, on the hub's machine, puts both where the
hub serves them. Then tacet device update brings devices to it.`

func updateGroup(env Env) *cobra.Command {
	c := group("update", "Programs of devices: keys, signatures, what the hub serves", updateKey(), updateSign(), updatePublish(env), updateReleases(env), updateRollouts(env), updateCancel(env))
	c.Long = updateHelp
	return c
}

// updateKey makes a key pair. The public half alone is on standard output.
func updateKey() *cobra.Command {
	return &cobra.Command{Use: "key FILE", Short: "Make a key that signs updates; print its public half, for updates.keys of devices", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		key, err := update.NewKey()
		if err != nil {
			return err
		}
		text, err := update.EncodeKey(key)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(args[0], os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return Usagef("%s is there already; a key is never overwritten", args[0])
		}
		if err != nil {
			return err
		}
		_, err = f.Write(text)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return errors.Join(err, os.Remove(args[0]))
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), update.PublicText(key))
		return err
	}}
}

// signedSuffix is what the release of a program is called beside it.
const signedSuffix = ".update"

func updateSign() *cobra.Command {
	var keyFile, leader string
	var m update.Manifest
	c := &cobra.Command{Use: "sign PROGRAM --key FILE", Short: "Sign a program: write PROGRAM.update beside it", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		if keyFile == "" {
			return Usagef("sign needs --key; tacet update key makes one")
		}
		key, err := readKey(keyFile)
		if err != nil {
			return Usagef("--key: %v", err)
		}
		if err := describe(&m, args[0]); err != nil {
			return err
		}
		with, err := carry(args[0], leader, m)
		if err != nil {
			return err
		}
		if err := describe(&m, args[0]); err != nil {
			return err
		}
		r, err := update.Sign(key, m)
		if err != nil {
			return Usagef("%s: %v", args[0], err)
		}
		if err := os.WriteFile(args[0]+signedSuffix, r.Encode(), 0o644); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s %s %d bytes %s, sha256 %s, signed for %s\n", m.Version, m.Arch, m.Size, with, m.SHA256, update.PublicText(key))
		return err
	}}
	c.Flags().StringVar(&keyFile, "key", "", "`FILE` of the private key")
	c.Flags().StringVar(&leader, "leader", "", "`FILE` of the tacet-leader that the program is to carry (default that beside it, or the one that it carries)")
	c.Flags().StringVar(&m.Version, "version", "", "`VERSION`, such as v1.4.0, that the program has to be (default what it was built as)")
	c.Flags().StringVar(&m.MinVersion, "min-version", "", "least `VERSION` that may go to this one in one step (default any)")
	c.Flags().StringVar(&m.Arch, "arch", "", "system and processor, such as linux-arm64, that the program has to be for (default what it was built for)")
	return c
}

// leaderName is what the program that a device leads with is called.
const leaderName = "tacet-leader"

// carry has a device's program carry the other one of its release, and says what it
// carries then.
func carry(file, leader string, m update.Manifest) (string, error) {
	program, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	named := leader != ""
	if !named {
		leader = filepath.Join(filepath.Dir(file), leaderName)
	}
	other, err := os.ReadFile(leader)
	switch {
	case err == nil:
	case named || !errors.Is(err, fs.ErrNotExist):
		return "", Usagef("--leader: %v", err)
	case update.Carries(program):
		return "with the " + leaderName + " that it carries", nil
	default:
		return "without a " + leaderName + ", so that its devices never lead", nil
	}
	is, err := about(leader, other, leaderPath)
	if err != nil {
		return "", err
	}
	if is.version != m.Version || is.arch != m.Arch {
		return "", Usagef("%s is %s for %s, and the program %s for %s; build both at once: make build", leader, is.version, is.arch, m.Version, m.Arch)
	}
	if both := update.Join(program, other); !bytes.Equal(both, program) {
		info, err := os.Stat(file)
		if err != nil {
			return "", err
		}
		fresh := file + ".new"
		if err := errors.Join(os.WriteFile(fresh, both, info.Mode().Perm()), os.Rename(fresh, file)); err != nil {
			return "", err
		}
	}
	return "with " + leaderName, nil
}

func readKey(file string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, err := update.ParseKey(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// How the package paths of a device's programs end.
const (
	devicePath = "/cmd/tacet-device"
	leaderPath = "/cmd/" + leaderName
)

// describe fills the manifest from the program. What was given must not say
// something else than the program does: a device that runs it would not believe
// it.
func describe(m *update.Manifest, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return Usagef("%v", err)
	}
	sum := sha256.Sum256(b)
	m.Size, m.SHA256, m.Built = int64(len(b)), hex.EncodeToString(sum[:]), time.Now().UTC().Truncate(time.Second)
	is, err := about(file, b, devicePath)
	if err != nil {
		return err
	}
	if !is.made.IsZero() {
		m.Built = is.made
	}
	if err := agree(file, "version", &m.Version, is.version); err != nil {
		return err
	}
	return agree(file, "arch", &m.Arch, is.arch)
}

// built is what a program says of its build.
type built struct {
	version, arch string
	made          time.Time // zero: not said
}

// about reads that, of a program whose package path ends so, which has a version.
func about(file string, program []byte, path string) (is built, err error) {
	name := path[strings.LastIndexByte(path, '/')+1:]
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return is, Usagef("%s is not %s: %v", file, name, err)
	}
	if !strings.HasSuffix(info.Path, path) {
		return is, Usagef("%s is not %s but %s", file, name, info.Path)
	}
	note := map[string]string{}
	for _, s := range info.Settings {
		note[s.Key] = s.Value
	}
	if t, err := time.Parse(time.RFC3339, note["vcs.time"]); err == nil {
		is.made = t.UTC()
	}
	version, err := release.Of(program)
	if err != nil {
		return is, Usagef("%s: %v", file, err)
	}
	if is.version = cmp.Or(version, info.Main.Version); !update.IsVersion(is.version) {
		return is, Usagef("%s has no version; build it with one: make build VERSION=1.2.3", file)
	}
	is.arch = note["GOOS"] + "-" + note["GOARCH"]
	return is, nil
}

// agree sets a value to what the program says, unless a flag says otherwise.
func agree(file, flag string, value *string, says string) error {
	if *value != "" && *value != says {
		return Usagef("--%s %s: %s says that it is %s", flag, *value, file, says)
	}
	*value = says
	return nil
}

func updatePublish(env Env) *cobra.Command {
	var dir, data, public string
	c := &cobra.Command{Use: "publish PROGRAM", Short: "Put a signed program where the hub on this machine serves it", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		b, err := os.ReadFile(args[0] + signedSuffix)
		if err != nil {
			return Usagef("%v; tacet update sign makes it", err)
		}
		r, err := update.ParseRelease(b)
		if err != nil {
			return Usagef("%s: %v", args[0]+signedSuffix, err)
		}
		if public != "" {
			keys, err := update.ParseKeys([]string{public})
			if err != nil {
				return Usagef("--public-key: %v", err)
			}
			if _, err := keys.Verify(r); err != nil {
				return &Error{Exit: ExitRefused, Code: "invalid", Detail: args[0] + signedSuffix + ": " + err.Error()}
			}
		}
		f, err := os.Open(args[0])
		if err != nil {
			return Usagef("%v", err)
		}
		defer f.Close()
		at := updatesDir(env, dir, data)
		if err := serves(at, cmp.Or(dir, env.Getenv("TACET_UPDATES_DIR")) != ""); err != nil {
			return err
		}
		shelf := update.NewShelf(at)
		if err := shelf.Publish(r, f); err != nil {
			return err
		}
		m, err := update.ParseManifest([]byte(r.Manifest))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s for %s is in %s\n", m.Version, m.Arch, shelf.Dir())
		return err
	}}
	shelfFlags(c, &dir, &data)
	c.Flags().StringVar(&public, "public-key", "", "`KEY` as devices have it: refuse what it did not sign")
	return c
}

// serves refuses a directory from which no hub serves. Below the data directory
// it is that of a hub that has run there, unless something was published before;
// one that was named is believed.
func serves(dir string, named bool) error {
	if named {
		return nil
	}
	data := filepath.Dir(dir)
	for _, path := range []string{filepath.Join(data, "tacet.db"), dir} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return Usagef("no hub has its data in %s; --data says where it has, --dir (updates.dir of its configuration) where it serves programs from", data)
}

func shelfFlags(c *cobra.Command, dir, data *string) {
	c.Flags().StringVar(dir, "dir", "", "`DIR` that the hub serves, updates.dir of its configuration (default updates below --data)")
	c.Flags().StringVar(data, "data", "", "data directory of the hub on this machine (TACET_DATA, default ./tacet-data)")
}

// updatesDir is the directory from which the hub on this machine serves.
func updatesDir(env Env, dir, data string) string {
	dir = cmp.Or(dir, env.Getenv("TACET_UPDATES_DIR"))
	return filepath.Clean(conf.Updates{Dir: dir}.In(cmp.Or(data, env.Getenv("TACET_DATA"), conf.Default().Data)))
}

// updateReleases shows what is published.
func updateReleases(env Env) *cobra.Command {
	var dir, data string
	c := &cobra.Command{Use: "list", Short: "Show what the hub on this machine serves", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		t := table{{"ARCH", "VERSION", "SIZE", "BUILT", "MIN_VERSION", "SHA256"}}
		for _, m := range update.NewShelf(updatesDir(env, dir, data)).Releases() {
			t.row(m.Arch, m.Version, fmt.Sprint(m.Size), m.Built.Format(time.RFC3339), m.MinVersion, strings.ToLower(m.SHA256))
		}
		return t.print(c.OutOrStdout())
	}}
	shelfFlags(c, &dir, &data)
	return c
}
