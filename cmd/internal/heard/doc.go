// Package heard reads what simulated loudspeakers have recorded and judges it: who
// sounded when, whether two sounded at once, and what was said twice.
//
// # Concepts
//
// A recording is a WAV file of package sim with its list FILE.jsonl. It tells of a
// device's sounds twice: [List] reads when each play began and ended, and of which
// order it was; [Sounds] finds in the samples alone when something could be heard.
// Both are on the wall clock of the machine that recorded, so that recordings of
// one machine may be laid over one another.
//
// A process that was killed leaves a list whose last play has no end, and perhaps
// half a line: such a play lasted as long as its recording.
//
// # What it does not do
//
// It corrects no clocks: of devices on several machines package proof judges.
package heard
