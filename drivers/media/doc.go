// Package media makes and shapes sound in memory: chimes, sound files, resampling,
// volume, ducking and length. The hub uses it to know how long an order will
// sound, a device to render it and to fit it to its sound card.
//
// # Concepts
//
// A [Sound] is mono, 16 bits a sample, [Rate] samples a second; everything is
// turned into that on the way in. [Decode] reads wav, mp3, flac and ogg vorbis
// files. A chime is the attention tone before a text; [Chimes] lists their names.
// [Announce] puts chime and speech together, and [AnnounceLength] says how long
// that will be without making it.
//
// Sound that is made louder or mixed passes a limiter ([Limit]), so that no
// sample is cut off. A [Resampler] changes the rate piece by piece.
//
// # Hostile files
//
// A sound file comes from somebody else. Memory is bounded by the length that the
// caller allows, whatever the file says of itself. WAV files are read here, since
// the decoder at hand makes room for what a chunk claims; of mp3 files the tags,
// of Vorbis streams the headers are looked at before the decoder sees them, for
// the same reason. A decoder that panics has met a damaged file.
//
// # What it does not do
//
// No playing, no encoding but WAV, no stereo inside; no goroutine, no file.
package media
