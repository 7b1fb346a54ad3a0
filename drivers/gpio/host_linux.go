package gpio

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"periph.io/x/conn/v3/driver/driverreg"
	"periph.io/x/conn/v3/gpio"
	"periph.io/x/host/v3/gpioioctl"
)

// Host is the lines of this machine. Its methods are safe for concurrent use.
type Host struct {
	chips []*gpioioctl.GPIOChip
	sysfs string // where /sys is
}

// NewHost looks for the chips of this machine; pwm outputs are looked for below
// sysfs, which is /sys where it is empty. Chips that come later are not seen. It
// fails with [ErrNoChip] where there is none, or none that may be used.
func NewHost(sysfs string) (*Host, error) {
	if usable, _ := devices("/dev"); usable == 0 {
		return nil, ErrNoChip // the library looks once: not now
	}
	found := chips()
	if len(found) == 0 {
		return nil, ErrNoChip
	}
	return &Host{chips: found, sysfs: cmp.Or(sysfs, "/sys")}, nil
}

// devices counts the chips below dir that may be opened, and those that may not.
func devices(dir string) (usable, refused int) {
	paths, _ := filepath.Glob(filepath.Join(dir, "gpiochip*"))
	for _, p := range paths {
		f, err := os.Open(p)
		if err != nil {
			refused++
			continue
		}
		usable++
		_ = f.Close() // it was not written
	}
	return usable, refused
}

// chips is what the library finds, once per process. It closes descriptor 0 when
// two names lead to one chip, as on a Raspberry Pi 5; a descriptor 0 that is free
// would be the next file's, and to the library it is the mark of a line that was
// not requested.
func chips() []*gpioioctl.GPIOChip {
	keepDescriptor0()
	defer keepDescriptor0()
	_, _ = driverreg.Init() // its error is of any driver; what counts is the list
	return gpioioctl.Chips
}

// keepDescriptor0 opens descriptor 0 where it is not open.
func keepDescriptor0() {
	if _, err := unix.FcntlInt(0, unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
		return
	}
	fd, err := unix.Open(os.DevNull, unix.O_RDWR, 0)
	if err == nil && fd != 0 { // somebody else has taken it in between
		_ = unix.Close(fd)
	}
}

// Chips is the chips of this machine, and who has their lines now. Lines that
// cannot be asked for are told without an owner.
func (h *Host) Chips() []Chip {
	var all []Chip
	for _, c := range h.chips {
		chip := Chip{Name: c.Name(), Label: c.Label(), Path: c.Path()}
		infos, _ := lineInfos(c.Path(), c.LineCount())
		for i := range c.LineCount() {
			l := Line{Offset: i, Name: strings.TrimPrefix(c.Lines()[i].Name(), c.Name()+"-")}
			if i < len(infos) {
				l.Name, l.Used, l.Consumer = infos[i].nameText(), infos[i].flags&flagUsed != 0, infos[i].consumerText()
			}
			chip.Lines = append(chip.Lines, l)
		}
		all = append(all, chip)
	}
	return all
}

// chipsRefused tells whether there is a chip that may not be used.
func chipsRefused() bool {
	_, refused := devices("/dev")
	return refused > 0
}

// OpenChip tells of the chip at a path, such as /dev/gpiochip0, without the
// library.
func OpenChip(path string) (Chip, error) {
	info, err := chipInfoOf(path)
	if err != nil {
		return Chip{}, err
	}
	c := Chip{Name: text(info.name[:]), Label: text(info.label[:]), Path: path}
	infos, err := lineInfos(path, int(info.lines))
	for i, l := range infos {
		c.Lines = append(c.Lines, Line{Offset: i, Name: l.nameText(), Used: l.flags&flagUsed != 0, Consumer: l.consumerText()})
	}
	return c, err
}

// Line tells of the line of a pin, and of its chip.
func (h *Host) Line(name string) (Chip, Line, error) {
	p, err := ParsePin(name)
	if err != nil {
		return Chip{}, Line{}, err
	}
	chips := h.Chips()
	i, offset, err := find(chips, p)
	if err != nil {
		return Chip{}, Line{}, err
	}
	return chips[i], chips[i].Lines[offset], nil
}

// Out is a line for output, or a pwm output. It fails with a [*BusyError] if
// somebody has the line, this process included.
func (h *Host) Out(name string) (gpio.PinOut, error) {
	if strings.HasPrefix(name, "pwmchip") {
		return openPWM(filepath.Join(h.sysfs, "class", "pwm"), name)
	}
	c, l, err := h.Line(name)
	if err != nil {
		return nil, err
	}
	if l.Used {
		return nil, &BusyError{Pin: name, Consumer: l.Consumer}
	}
	for _, chip := range h.chips {
		if chip.Path() == c.Path {
			return &output{GPIOLine: chip.ByNumber(l.Offset)}, nil
		}
	}
	return nil, ErrNoChip // not reached: the chips are the library's
}

// PWM tells why a pulse-width output cannot be had; nil: it can. It changes none.
func (h *Host) PWM(name string) error {
	_, err := findPWM(filepath.Join(h.sysfs, "class", "pwm"), name)
	return err
}

// output is a line of the library, which must not be read.
type output struct{ *gpioioctl.GPIOLine }

// In is a line for input. It fails with a [*BusyError] if somebody has the line.
func (h *Host) In(name string, pull gpio.Pull) (gpio.PinIn, error) {
	c, l, err := h.Line(name)
	if err != nil {
		return nil, err
	}
	e, err := openEdges(c.Path, l.Offset, name, pull)
	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, &BusyError{Pin: name, Consumer: l.Consumer}
	case err != nil:
		return nil, err
	}
	return e, nil
}

// Keeps tells whether lines keep their levels when the process that drove them
// dies, which is what the kernels of the Raspberry Pi do. known is false where
// the kernel does not say.
func (h *Host) Keeps() (keeps, known bool) {
	for _, c := range h.chips {
		if keeps, known = keepsLevels(c.Label(), h.sysfs); known {
			break
		}
	}
	return keeps, known
}

// keepsLevels is what the driver of a chip of a Raspberry Pi was told to do.
func keepsLevels(label, sysfs string) (keeps, known bool) {
	driver := ""
	switch {
	case strings.HasPrefix(label, "pinctrl-bcm2"):
		driver = "pinctrl_bcm2835" // of the Pi 4 too
	case label == "pinctrl-rp1":
		driver = "pinctrl_rp1"
	default:
		return false, false
	}
	b, err := os.ReadFile(filepath.Join(sysfs, "module", driver, "parameters", "persist_gpio_outputs"))
	return strings.HasPrefix(string(b), "Y"), err == nil
}

// Model is the board, such as "Raspberry Pi 4 Model B Rev 1.4"; empty where the
// kernel does not say.
func (h *Host) Model() string {
	b, err := os.ReadFile(filepath.Join(h.sysfs, "firmware", "devicetree", "base", "model"))
	if err != nil {
		return ""
	}
	return text(b)
}
