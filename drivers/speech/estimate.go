package speech

import (
	"time"
	"unicode"
)

// Measured on espeak-ng 1.51, voice en, seven announcements of 2 to 98
// characters: within 25 % of each of them.
const (
	perText   = 450 * time.Millisecond // silence before and after
	perLetter = 55 * time.Millisecond
	perDigit  = 450 * time.Millisecond // "7" is said as "seven"
	perStop   = 350 * time.Millisecond // pause between sentences
)

// Estimate is about how long it takes to speak text; 0 for a text without
// letters and digits. It neither blocks nor fails.
func Estimate(text string) time.Duration {
	var d, pause time.Duration
	for _, r := range text {
		switch {
		case unicode.IsDigit(r):
			d += pause + perDigit
			pause = 0
		case unicode.IsLetter(r):
			d += pause + perLetter
			pause = 0
		case r == '.' || r == '!' || r == '?':
			pause = perStop // counts only if something follows
		}
	}
	if d == 0 {
		return 0
	}
	return perText + d
}
