// Package rule says when a schedule comes due. It is pure: text and an instant
// go in, instants come out.
//
// # Concepts
//
// A [Rule] is a cron line ([Cron]), a steady beat ([Every]) or one instant
// ([Once]); [Rule.Next] is its first instant after another one.
//
// A cron line has five fields: minute (0-59), hour (0-23), day of month (1-31),
// month (1-12 or JAN-DEC) and day of week (0-7 or SUN-SAT; 0 and 7 are Sunday).
// A field is *, a value, a range a-b, or a list of these with commas; /n after *
// or a range takes each n-th, a/n is a to the end by n. A range may go round
// (22-2, FRI-MON). Where both days are restricted, either of them suffices, as in
// every cron; ? is * in the fields of days. @yearly, @annually, @monthly,
// @weekly, @daily, @midnight and @hourly stand for their lines. The time zone is
// not part of the line.
//
// # Clock changes
//
// A line whose hours are restricted names times of day. Each of them comes due
// exactly once on each of its days: one that the clock skips at the first minute
// after the gap, one that the clock shows twice the first time. Several times in
// one gap are one firing.
//
// A line for every hour (*, */1, 0-23) follows elapsed time: it comes due
// whenever the clock shows one of its minutes, so in the hour that is shown twice
// both times, and not at minutes that are never shown.
//
// A day that a zone leaves out (Apia, 30 December 2011) has no firings.
//
// # What it does not do
//
// No text makes it panic or run for ever. It keeps no state and reads no clock;
// zones come from the system, else from the copy in the program.
package rule
