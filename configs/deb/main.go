// Command deb builds the Debian packages of the device (tacet-device) and of the
// hub (tacet), for arm64 and amd64.
//
//	go run . --version 1.2.3 --out ../../bin
//
// It is run in its own folder, needs the go command, and prints the names of the
// packages. Each is described by a file beside this one, in the language of nfpm,
// and its scripts are in scripts. The same sources, version and flags make the
// same bytes.
//
// It is a module of its own, so that nfpm stays out of the main one.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "deb: %v\n", err)
		os.Exit(1)
	}
}

// made is the time of everything in a package, so that it does not depend on
// when it was built: 2026-01-01.
var made = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// versionForm is what is a semantic version and one of Debian alike, but for the ~
// that Debian has where a semantic version has a - (deb-version(7)).
var versionForm = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){1,2}$|^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}(~[A-Za-z0-9.]+)?(\+[A-Za-z0-9.]+)?$`)

// release is how the programs of a package name its version: an update is newer or
// older than that.
func release(version string) string { return "v" + strings.Replace(version, "~", "-", 1) }

func run(ctx context.Context, args []string, out io.Writer) error {
	var version, dir, arches string
	set := flag.NewFlagSet("deb", flag.ContinueOnError)
	set.StringVar(&version, "version", "0.0.0", "`VERSION` of the packages and of the programs in them, such as 1.2.3 or 1.2.3~rc1")
	set.StringVar(&dir, "out", "../../bin", "`DIR` of the packages")
	set.StringVar(&arches, "arch", "arm64,amd64", "`ARCHITECTURES`, with commas")
	if err := set.Parse(args); err != nil {
		return err
	}
	if !versionForm.MatchString(version) {
		return fmt.Errorf("version %q is not such as 1.2.3 or 1.2.3~rc1", version)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "tacet-deb")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, arch := range strings.Split(arches, ",") {
		for _, name := range []string{"tacet-device", "tacet"} {
			file, err := makeDeb(ctx, name, arch, version, tmp, dir)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", name, arch, err)
			}
			fmt.Fprintln(out, file)
		}
	}
	return nil
}

// programs are those of each package, by the word that its description has for them.
// The device's two are of one version, and lie beside each other.
var programs = map[string]map[string]string{
	"tacet-device": {"PROGRAM": "tacet-device", "LEADER": "tacet-leader"},
	"tacet":        {"PROGRAM": "tacet"},
}

// makeDeb builds the programs of a package and packs them, and answers its name.
func makeDeb(ctx context.Context, name, arch, version, tmp, dir string) (string, error) {
	if arch != "arm64" && arch != "amd64" {
		return "", fmt.Errorf("architecture %q is neither arm64 nor amd64", arch)
	}
	words := map[string]string{"ARCH": arch, "VERSION": version}
	for word, program := range programs[name] {
		words[word] = filepath.Join(tmp, arch, program)
		if err := build(ctx, program, arch, version, words[word]); err != nil {
			return "", err
		}
	}
	var err error
	if words["HUB_CONFIG"], err = writeHubConfig(tmp); err != nil {
		return "", err
	}
	info, err := describe(name, words)
	if err != nil {
		return "", err
	}
	var packed bytes.Buffer
	packager, err := nfpm.Get("deb")
	if err != nil {
		return "", err
	}
	if err := packager.Package(info, &packed); err != nil {
		return "", err
	}
	file := filepath.Join(dir, fmt.Sprintf("%s_%s_%s.deb", name, version, arch))
	return file, errors.Join(os.WriteFile(file+".part", packed.Bytes(), 0o644), os.Rename(file+".part", file))
}

// describe reads a package's description, with the words of the run filled in.
func describe(name string, words map[string]string) (*nfpm.Info, error) {
	config, err := nfpm.ParseFileWithEnvMapping(name+".yaml", func(key string) string { return words[key] })
	if err != nil {
		return nil, err
	}
	info, err := config.Get("deb")
	if err != nil {
		return nil, err
	}
	info.MTime = made
	for _, c := range info.Contents {
		c.Source = os.Expand(c.Source, func(key string) string { return words[key] })
		if c.FileInfo != nil {
			c.FileInfo.MTime = made
		}
	}
	info = nfpm.WithDefaults(info)
	return info, nfpm.PrepareForPackager(info, "deb")
}

// build makes a static program that knows its version.
func build(ctx context.Context, name, arch, version, out string) error {
	flags := "-s -w -buildid= -X github.com/tacet-hub/tacet/cmd/internal/release.stamp=tacet-release:" + release(version) + ":"
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", flags, "-o", out, "./cmd/"+name)
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0")
	if b, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, b)
	}
	return nil
}
