// Package clip keeps sound files by the SHA-256 of their bytes: the clips of a
// hub, and the cache of a device.
//
// # Concepts
//
// A [Sum] names a clip; who has the name can tell whether bytes are it, so a
// clip never changes and may be cached for ever. [Store.Put] takes bytes in,
// [Store.Adopt] a file that was fetched; both appear as a whole or not at all,
// also when the machine loses its power. [Store.Open] gives the bytes back, and
// looks first whether they are still those that came: after each start, after
// any change of the file, and once an hour. A file that is not is set aside in
// the directory "damaged", and the clip is gone.
//
// A clip may have keys: what it was made of. Speech that was made once is found
// by [Store.Find] and not made again.
//
// # Bounds
//
// A store has [Config.MaxBytes] and [Config.MaxClips]. For one more the clip
// that was used longest ago goes, those with a key before those that somebody
// sent, but none that [Config.Needed] names, and none that was used in the last
// ten seconds; [Stats.Evicted] counts them. Where
// nothing may go the newcomer is refused with [ErrFull]. At most four newcomers
// are written at a time, the others wait. Of damaged files the newest eight are
// kept.
//
// What was used when is the time of the file, set once a minute at most, so that
// reading wears no disk.
//
// # What it does not do
//
// It knows no formats (a [Meter] does), fetches nothing, and starts no
// goroutine.
package clip
