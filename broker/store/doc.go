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
// [State] is a table of records that live in their owner's memory: the broker's
// retained messages, sessions and queues. The owner tells which records have
// changed, and is asked for them when a group is written; positions tell it how
// far the disk has come. A record that is on disk already as it is is not
// written again, whoever hands it in, and a group that changes nothing costs no
// write at all.
//
// # Damage
//
// What is damaged is never read as if it were well, and never makes the hub
// crash or start over in silence. [Open] goes through the whole file page by
// page before bbolt may have it. A record that fails its checksum is moved aside
// within the file; a file whose structure is not well is renamed aside
// ([Store.Quarantined]) and everything in it that is well goes into a new one;
// and sums over each table, kept by every transaction, show what is no longer
// there. [Store.Damage] says how much of what. [Ledger.Load] answers
// [ErrCorrupt] for an area whose record is damaged until a new one is committed;
// [Table.Load] leaves it out. An older format is brought up to date, a newer one
// refused.
//
// # Trouble
//
// Room is reserved on the file system before a transaction, so a full disk is
// found before anything is written over. Changes of tables and of the ledger are
// refused with code disk_full and may be tried again; the state is kept and
// tried again every two seconds; reading goes on. The end is seen a little ahead
// ([Store.Trouble]), and the last 128 KiB are left to the ledger and the tables.
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
// It does not look into records, and keeps no history. Where the newest of the
// two root pages is damaged the file is that of one transaction before, and the
// damage is told as "root"; that is why terms also travel with the devices. A
// file that was replaced by an older copy of itself looks well.
package store
