package deviced

import (
	"context"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Reboot starts the machine again: it asks systemd where that runs, which must
// allow it (org.freedesktop.login1.reboot), else the kernel, which takes the
// right CAP_SYS_BOOT.
func Reboot(ctx context.Context) error {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		return exec.CommandContext(ctx, "systemctl", "--no-block", "reboot").Run()
	}
	unix.Sync()
	return unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}
