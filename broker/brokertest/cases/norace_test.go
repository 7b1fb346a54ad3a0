//go:build !race

package cases

// raceDetector says that the race detector is on, which leaves out slow cases.
const raceDetector = false
