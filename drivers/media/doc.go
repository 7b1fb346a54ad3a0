// Package media makes and shapes sound in memory: chimes, WAV files, resampling,
// volume and length. The hub uses it to know how long an order will sound, a
// device to render it.
//
// # Concepts
//
// A [Sound] is mono, 16 bits a sample, [Rate] samples a second; everything is
// turned into that on the way in. A chime is the attention tone before a text;
// [Chimes] lists their names. [Announce] puts chime and speech together, and
// [AnnounceLength] says how long that will be without making it.
//
// # What it does not do
//
// No playing, no compressed formats, no stereo; no goroutine, no file.
package media
