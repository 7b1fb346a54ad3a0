// Package card writes the image of an SD card: a partition table, a FAT32
// partition from which a Raspberry Pi boots and which any PC can edit, and an
// ext4 partition for what the device keeps.
//
// The data partition is ext4 because what is on it must outlive a power cut at
// any moment: its journal keeps renames whole, which is what the slots of an
// update and the device's credential rest on. FAT has no journal and no file
// modes.
//
// The same input makes the same bytes: no clock, no random number and no name of
// a machine goes into the image.
package card
