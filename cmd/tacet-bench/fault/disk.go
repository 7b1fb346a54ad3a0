package fault

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// disk is a file system of a program's own. Mounting takes root.
type disk struct {
	image string // backing file; empty: in memory
	mount string
}

// newImage makes an ext4 in a file of so many MiB and mounts it.
func newImage(ctx context.Context, in string, mib int) (*disk, error) {
	image := filepath.Join(in, "image-0")
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	err = f.Truncate(int64(mib) << 20)
	if err2 := f.Close(); err != nil || err2 != nil {
		return nil, fmt.Errorf("make %s: %w", image, err2)
	}
	if err := command(ctx, "mkfs.ext4", "-q", "-F", image); err != nil {
		return nil, err
	}
	return mountImage(ctx, image)
}

func mountImage(ctx context.Context, image string) (*disk, error) {
	d := &disk{image, image + ".mnt"}
	if err := os.Mkdir(d.mount, 0o700); err != nil {
		return nil, err
	}
	return d, command(ctx, "mount", "-o", "loop", image, d.mount)
}

// newMemory mounts a file system of so many MiB that lives in memory.
func newMemory(ctx context.Context, in string, mib int) (*disk, error) {
	d := &disk{mount: filepath.Join(in, "memory")}
	if err := os.Mkdir(d.mount, 0o700); err != nil {
		return nil, err
	}
	return d, command(ctx, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "tmpfs", d.mount)
}

// data is a directory for a server in it, made if it is not there.
func (d *disk) data() (string, error) {
	data := filepath.Join(d.mount, "data")
	return data, os.MkdirAll(data, 0o700)
}

// copyImage copies the backing file as it is now: what a power cut would have
// left. Nothing is flushed first.
func (d *disk) copyImage(ctx context.Context, to string) error {
	return command(ctx, "cp", "--sparse=always", d.image, to)
}

// drop unmounts, whatever is still open, and removes the image. It is done even
// where ctx has ended.
func (d *disk) drop(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	if command(ctx, "umount", d.mount) != nil {
		_ = command(ctx, "umount", "-l", d.mount)
	}
	_ = os.Remove(d.mount)
	if d.image != "" {
		_ = os.Remove(d.image)
	}
}

// command runs a program of the system's.
func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
