// Package store keeps durable state in one bbolt file: the ledger, one record
// per area, which the arbiter writes before it grants; and tables, records by
// key, of whoever has something to keep.
//
// # Concepts
//
// A record is bytes of its owner's making, kept under a format version and a
// checksum that covers its place as well. A change ([Ledger.Commit],
// [Table.Put], [Table.PutAsync]) is queued; everything queued goes to disk in
// one transaction (group commit, and no timer: the next group gathers while one
// is written), of a record's changes the newest alone, and every caller is told
// when it is safe.
//
// What is damaged is never read as if it were well, and never makes the hub
// crash or start over in silence. A file that cannot be read at all is renamed
// aside, and [Store.Quarantined] names it; a record that fails its checksum is
// moved aside within the file and counted. [Ledger.Load] answers [ErrCorrupt]
// for the area of one until a new record is committed; [Table.Load] leaves it
// out. An older format is brought up to date by [Open], a newer one refused.
//
// A write that fails leaves the disk in a state that nobody knows, so it is not
// tried again: every later change fails with the same error, until the store is
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
