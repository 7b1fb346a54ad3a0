// Command tacet-image writes the image of an SD card with which a Raspberry Pi
// becomes a device, without an operating system to look after.
//
//	tacet-image --hub http://hub.local:8080 --code CODE -o sd.img
//	tacet-image checklist
//
// The image has two partitions. The first, FAT32 and named TACET, has what the
// Pi's firmware reads (itself, config.txt, cmdline.txt, the kernel, device trees,
// overlays), an initial root with our PID 1 (package init) and tacet-device, and
// tacet.yaml, which a person edits on any PC. The second, ext4, keeps what the
// device must not lose: its credential, its journal, its clips and the two slots
// of an update.
//
// It is a module of its own: the kernel and the firmware, 77 MB, stay out of the
// main one. Exit codes: 0 ok, 1 failed, 2 usage.
package main
