package area

// Priority orders claims; more goes first. 0–99 is background, 100–149 normal,
// 150–199 high, 200 and more emergency, which alone pre-empts by itself.
type Priority int

// The priorities that the four names stand for on the wire.
const (
	Background Priority = 50
	Normal     Priority = 100
	High       Priority = 150
	Emergency  Priority = 200
)

// MaxPriority is the highest that is taken from the wire.
const MaxPriority Priority = 255

// Class is the number that p's class begins with: 0, 100, 150 or 200.
func (p Priority) Class() Priority {
	switch {
	case p >= Emergency:
		return Emergency
	case p >= High:
		return High
	case p >= Normal:
		return Normal
	}
	return 0
}

// String is the name of p's class.
func (p Priority) String() string {
	switch p.Class() {
	case Emergency:
		return "emergency"
	case High:
		return "high"
	case Normal:
		return "normal"
	}
	return "background"
}

// ParsePriority reads one of the four names. Its error is an [Error] of code
// [CodeInvalid].
func ParsePriority(s string) (Priority, error) {
	for _, p := range []Priority{Background, Normal, High, Emergency} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, Errorf(CodeInvalid, "priority %s is none of background, normal, high, emergency", quote(s))
}

// MarshalText writes the name of the class.
func (p Priority) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads one of the four names.
func (p *Priority) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePriority(string(b))
	return err
}
