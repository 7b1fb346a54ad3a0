package mapping

// Reason says why something of a message is not a good reading or event.
type Reason uint8

// The reasons.
const (
	Fine      Reason = iota
	Text             // text where a number or a state was promised, or text that says neither
	NotFinite        // NaN or infinite, or too large for a number
	Null             // null
	List             // an array
	Shape            // an object where one value was promised, or the other way round
	Empty            // no payload
	Binary           // no UTF-8
	Syntax           // not the JSON that was promised
	Size             // payload over [MaxPayload]
	Depth            // nested or levelled too deep
	Many             // more values or events than one message may have
	Name             // a device, metric, group or event made of the topic is no name
	Full             // more announced than a [Reader] learns
	Obscure          // a template that is not understood
	reasons          // how many there are
)

var reasonText = [reasons]string{"fine", "text", "not_finite", "null", "list", "shape", "empty", "binary", "syntax", "size", "depth", "many", "name", "full", "obscure"}

// String is the reason as it stands in figures.
func (r Reason) String() string {
	if r < reasons {
		return reasonText[r]
	}
	return "unknown"
}

// Faults counts what was refused, by reason.
type Faults [reasons]uint32

func (f *Faults) add(r Reason) {
	if r != Fine {
		f[r]++
	}
}

// Any tells whether something was refused.
func (f *Faults) Any() bool { return *f != Faults{} }

// Each calls yield with every reason that was counted.
func (f *Faults) Each(yield func(Reason, uint32)) {
	for r, n := range f {
		if n > 0 {
			yield(Reason(r), n)
		}
	}
}
