// Package initrd packs the files that a kernel finds as its root: a cpio archive
// of the "newc" form, compressed with gzip
// (Documentation/driver-api/early-userspace/buffer-format.rst).
//
// The same files make the same bytes.
package initrd
