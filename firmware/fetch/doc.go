// Package fetch brings clips from the hub onto a device before they are played:
// by the SHA-256 of their bytes, over HTTP, into a cache on the disk.
//
// # Concepts
//
// A [Cache] has the clips that were fetched, as package clip keeps them: within a
// size, those used longest ago going first, looked at before they are used. What
// it has not it fetches; a download that breaks off, with the line, the hub or
// this process, is resumed where it stopped. Only the whole clip with the right
// hash is ever handed out.
//
// A [Web] is the hub's web listener with the device's credential: it signs in
// with name and password once and shows the token that it got, or shows a
// password that is a JWT as it is. Over a line that is not encrypted it sends no
// secret unless it was told that the secret goes there in the clear anyway.
//
// A [Near] is the neighbours, who are asked before the hub: for each clip, and for
// one that is to come once for all of them ([Cache.Await], [Cache.Spread]) also
// whether it is on its way to one.
//
// # What ends a download
//
// For good: the hub has no such clip, refuses it, or sends another
// ([ErrHash]), one of more bytes than a clip has, or bytes that drip slower than
// 4 KiB a second. Everything else, a hub that is down among it, is tried again,
// ever less often, until the caller's context ends.
//
// # Bounds
//
// [Config.AtOnce] downloads run at a time, one of each clip; who comes later
// waits. Of downloads that broke off the newest eight stay.
//
// # What it does not do
//
// It starts no goroutine and decodes nothing. How neighbours are spoken to is not
// its matter: package share knows.
package fetch
