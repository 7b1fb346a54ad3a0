package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/tacet-hub/tacet/configs/image/internal/initrd"
	"github.com/tacet-hub/tacet/configs/image/internal/parts"
)

// configTxt is read by the Pi's firmware (raspberrypi.com, "config.txt").
const configTxt = `# Read by the Raspberry Pi's firmware before the kernel starts.
arm_64bit=1
kernel=vmlinuz
initramfs initrd.img followkernel
enable_uart=1
disable_splash=1

# The headphone jack (Pi 3 and 4), I2C for sensors, the watchdog.
dtparam=audio=on
dtparam=i2c_arm=on
dtparam=watchdog=on

# A DS18B20 thermometer on GPIO4:
#dtoverlay=w1-gpio
# PWM on GPIO18:
#dtoverlay=pwm
`

// cmdlineTxt is the kernel's command line; the last console is where the programs
// write. Without the last two this kernel keeps the level of a pin whose owner has
// died, and an amplifier would stay on.
const cmdlineTxt = "console=serial0,115200 console=tty1 rdinit=/init panic=10 oops=panic quiet" +
	" pinctrl_bcm2835.persist_gpio_outputs=n pinctrl_rp1.persist_gpio_outputs=n"

// firmware are the files of the firmware module that the boards need: start4 and
// fixup4 for the Pi 4, start, fixup and bootcode for the older ones; a Pi 5 has
// its own in its flash.
var firmware = []string{"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat", "LICENSE.broadcom"}

// trees are the device trees of the boards with 64 bits. The firmware takes the
// bcm2710 ones for the Pi 3 and the Zero 2 W.
var trees = []string{
	"bcm2710-rpi-3-b.dtb", "bcm2710-rpi-3-b-plus.dtb", "bcm2710-rpi-cm3.dtb", "bcm2710-rpi-zero-2-w.dtb", "bcm2710-rpi-zero-2.dtb",
	"bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4.dtb", "bcm2711-rpi-cm4s.dtb",
	"bcm2712-rpi-5-b.dtb", "bcm2712-d-rpi-5-b.dtb", "bcm2712d0-rpi-5-b.dtb", "bcm2712-rpi-500.dtb", "bcm2712-rpi-cm5-cm4io.dtb", "bcm2712-rpi-cm5-cm5io.dtb",
}

// bootFiles are the files of the boot partition.
func bootFiles(p parts.Parts, s settings) (map[string][]byte, error) {
	root, err := initialRoot(p)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		"config.txt":  []byte(configTxt),
		"cmdline.txt": []byte(s.cmdline() + "\n"),
		"initrd.img":  root,
		"tacet.yaml":  []byte(s.yaml()),
	}
	if s.ca != nil {
		files[caFile] = s.ca
	}
	overlays, err := fs.Glob(p.Kernel, "overlays/*.dtbo")
	if err != nil {
		return nil, err
	}
	for _, from := range []struct {
		fs    fs.FS
		names []string
	}{
		{p.Kernel, slices.Concat([]string{"vmlinuz", "LICENSE.linux"}, trees, overlays)},
		{p.Firmware, firmware},
	} {
		for _, name := range from.names {
			if files[name], err = fs.ReadFile(from.fs, name); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// initialRoot is what the kernel starts with: PID 1, the device's program, and
// the folders that PID 1 mounts on. The console must be there before PID 1 is: a
// Go program whose first three descriptors cannot be opened does not start.
func initialRoot(p parts.Parts) ([]byte, error) {
	files := []initrd.File{{Name: "dev/console", Mode: initrd.Character | 0o600, Dev: [2]uint32{5, 1}}}
	for _, dir := range []string{"bin", "boot", "data", "dev", "etc", "proc", "run", "sys", "tmp"} {
		files = append(files, initrd.File{Name: dir, Mode: initrd.Folder | 0o755})
	}
	for name, text := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/data:/bin/false\n",
		"etc/group":  "root:x:0:\n",
		"etc/hosts":  "127.0.0.1 localhost\n::1 localhost\n",
	} {
		files = append(files, initrd.File{Name: name, Mode: initrd.Regular | 0o644, Data: []byte(text)})
	}
	zones, err := fs.ReadFile(p.Programs, parts.Zones)
	if err != nil {
		return nil, err
	}
	files = append(files, initrd.File{Name: path.Join("etc", parts.Zones), Mode: initrd.Regular | 0o644, Data: zones})
	for from, to := range map[string]string{parts.Init: "init", parts.Device: path.Join("bin", parts.Device), parts.Leader: path.Join("bin", parts.Leader)} {
		b, err := fs.ReadFile(p.Programs, from)
		if from == parts.Leader && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, initrd.File{Name: to, Mode: initrd.Regular | 0o755, Data: b})
	}
	var packed bytes.Buffer
	if err := initrd.Write(&packed, files); err != nil {
		return nil, fmt.Errorf("initial root: %w", err)
	}
	return packed.Bytes(), nil
}
