// Package backup puts what a hub keeps into one file, and makes a data directory
// of such a file again.
//
// # The file
//
// It is a tar archive in gzip, of regular files with these names, in this order:
//
//	tacet.json           [Head], JSON: the version of this format, who wrote it, and when
//	ledger/0001          records of the arbiters
//	tables/NAME/0001     records of a table of the store; 0002 and so on where they are many
//	clips/DIGITS         a sound file, and DIGITS.json what is known of it
//	proof/AREA/N.jsonl   the record of what sounded
//	proof-of/NODE/…      the same of other nodes, AREA/N.jsonl, and clock.json: by how much its clock is ahead
//	history/NAME         what sensors measured, where it was asked for
//	manifest.json        [Manifest], JSON: name, length and SHA-256 of every file before it
//	manifest.sha256      the SHA-256 of manifest.json, 64 hexadecimal digits
//
// A file of records is, again and again, the length of a key as an unsigned varint,
// the key, the length of a value, the value. Values are as package store has them:
// nothing depends on the machine, nor on the layout of the store's own file. A file of
// the same records is what a node of several writes, and a hub that is alone.
//
// # Writing
//
// [Write] reads the records at one moment, into a file that has no name, and after
// that what lies in directories: sound files never change, and the record of what
// sounded and the history only grow, so each is a beginning of what it is later. It
// disturbs nobody, and waits for the slowest reader alone.
//
// # Reading
//
// [Read] believes nothing: every name is one of the above or refused, so are links,
// what comes twice, and what is longer than a hub makes it; the sums show what was
// damaged, the manifest what is missing. A sum is no signature: who can write the file
// can make it say anything.
//
// [Restore] reads into a new directory beside the target, and puts it in the target's
// place in one step once all of it is well and on the disk. What was there is moved
// aside.
//
// # What a restore means for areas
//
// The ledger of a backup is older than what devices have seen. So a restored record
// never says that no lease is alive, its terms begin far above the last one that is
// known ([arbiter.Restored]), and of a directory that is moved aside the terms, the
// longest leases and the holds are taken over, being newer. Devices bring the terms
// that they have seen, and what they play, as after each start of a hub.
package backup
