//go:build linux

package rungs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Card is the image of an SD card that tacet-image wrote, in a directory of its
// own.
type Card struct {
	image string
	dir   string
}

// bootOffset is where the first partition begins.
const bootOffset = "@@4M"

// tree is the file of the board that QEMU emulates.
const tree = "bcm2710-rpi-3-b.dtb"

// NewCard builds tacet-image and has it write a card, as a person would.
func NewCard(ctx context.Context, s *Site, args ...string) (Card, error) {
	dir, err := s.dir("card")
	if err != nil {
		return Card{}, err
	}
	c := Card{image: filepath.Join(dir, "sd.img"), dir: dir}
	tool := filepath.Join(dir, "tacet-image")
	if _, err := output(ctx, filepath.Join(s.Tree, "configs/image"), "go", "build", "-o", tool, "."); err != nil {
		return c, err
	}
	_, err = output(ctx, s.Tree, tool, append(args, "--build", filepath.Join(dir, "bin"), "-o", c.image)...)
	return c, err
}

// read is a file of the partition that a person sees.
func (c Card) read(ctx context.Context, name string) (string, error) {
	return output(ctx, c.dir, "mtype", "-i", c.image+bootOffset, "::"+name)
}

// add appends text to a file of that partition, as an editor on a PC does.
func (c Card) add(ctx context.Context, name, text string) error {
	old, err := c.read(ctx, name)
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, name)
	if err := os.WriteFile(file, []byte(old+text), 0o644); err != nil {
		return err
	}
	_, err = output(ctx, c.dir, "mcopy", "-o", "-i", c.image+bootOffset, file, "::"+name)
	return err
}

// boot copies what the firmware of a Pi would read, and answers the words of the
// kernel's command line. The device tree is what the firmware would make of it,
// but for what QEMU 7.2 has not: a second SD controller, which never answers, the
// watchdog, which resets the machine when it is opened, and what dwc_otg, the
// driver of a Pi's USB, needs: with dwc2, which other boards have for the same
// controller, the emulated network is half as fast again.
func (c Card) boot(ctx context.Context) ([]string, error) {
	for _, name := range []string{"vmlinuz", "initrd.img", tree} {
		if _, err := output(ctx, c.dir, "mcopy", "-n", "-o", "-i", c.image+bootOffset, "::"+name, filepath.Join(c.dir, name)); err != nil {
			return nil, err
		}
	}
	for _, edit := range [][]string{
		{"-t", "s", tree, "/soc/mmcnr@7e300000", "status", "disabled"},
		{"-t", "s", tree, "/soc/watchdog@7e100000", "status", "disabled"},
		{"-t", "s", tree, "/soc/usb@7e980000", "compatible", "brcm,bcm2835-usb"},
		{"-p", "-t", "x", tree, "/system", "linux,revision", "a02082"},
	} {
		if _, err := output(ctx, c.dir, "fdtput", edit...); err != nil {
			return nil, err
		}
	}
	line, err := c.read(ctx, "cmdline.txt")
	if err != nil {
		return nil, err
	}
	if !strings.Contains(line, "rdinit=/init") {
		return nil, fmt.Errorf("cmdline.txt is %q", line)
	}
	var words []string
	for _, w := range strings.Fields(line) {
		if !strings.HasPrefix(w, "console=") {
			words = append(words, w)
		}
	}
	return words, nil
}

// StartPi starts the card in QEMU's Raspberry Pi 3B with a USB network card and a
// USB loudspeaker, which QEMU records to wav. What the device writes on the card
// stays on it. The card must be used by one machine at a time. One of the four
// processors runs: with more, QEMU's SD controller fails (see sdFaults), and on a
// busy machine they wait for each other.
func StartPi(ctx context.Context, c Card, wav string) (*Machine, *Monitor, error) {
	words, err := c.boot(ctx)
	if err != nil {
		return nil, nil, err
	}
	// The serial line is the console: what the firmware does with serial0.
	words = append([]string{"console=tty1", "console=ttyAMA1,115200"}, append(words, "maxcpus=1")...)
	socket := filepath.Join(c.dir, "monitor")
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	m, err := Start(ctx, "raspi3b", "qemu-system-aarch64", "-M", "raspi3b", "-m", "1G", "-display", "none", "-no-reboot",
		"-serial", "stdio", "-serial", "null", "-monitor", "unix:"+socket+",server=on,wait=off",
		"-kernel", filepath.Join(c.dir, "vmlinuz"), "-initrd", filepath.Join(c.dir, "initrd.img"), "-dtb", filepath.Join(c.dir, tree),
		"-drive", "file="+c.image+",if=sd,format=raw",
		"-netdev", "user,id=n0", "-device", "usb-net,netdev=n0,mac=b8:27:eb:12:34:56",
		"-audiodev", "wav,id=a0,path="+wav+",out.frequency=48000,out.channels=1,out.format=s16", "-device", "usb-audio,audiodev=a0",
		"-append", strings.Join(words, " "))
	return m, &Monitor{socket: socket}, err
}
