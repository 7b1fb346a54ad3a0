// Package store keeps durable state in one bbolt file. So far that is the
// ledger: one record per area, which the arbiter writes before it grants.
//
// # Concepts
//
// A record is bytes of its owner's making, kept under a format version and a
// checksum that covers the area's name as well. [Ledger.Commit] queues a record;
// everything queued goes to disk in one transaction (group commit), of an
// area's records the newest alone, and every caller is told when it is safe.
//
// What is damaged is never read as if it were well, and never makes the hub
// crash or start over in silence. A file that cannot be read at all is renamed
// aside, and [Store.Quarantined] names it; a record that fails its checksum is
// moved aside within the file, and [Ledger.Load] answers [ErrCorrupt] for its
// area until a new one is committed. A file of a newer format is refused.
//
// A write that fails leaves the disk in a state that nobody knows, so it is not
// tried again: every later commit fails with the same error, until the store is
// opened anew. A full disk is the exception, as nothing has been written then.
//
// The directory is made with mode 0700, the file has 0600, and is locked
// against a second process.
//
// # Goroutines
//
// The committer, one per store: started by [Open], ended by [Store.Close],
// which first lets it commit what is queued.
//
// # What it does not do
//
// It does not look into records, and keeps no history. After damage to the
// newest of its two root pages bbolt goes back one transaction by itself; that
// cannot be seen from here, which is why terms also travel with the devices.
package store
