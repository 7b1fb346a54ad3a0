package protocol

// checker finds out whether bytes are one JSON value, nested no deeper than
// allowed. It is encoding/json's check in one pass and without a table of
// states, which is most of what reading a short message costs.
type checker struct {
	b    []byte
	i    int
	deep bool // it is nested too deeply
}

// check checks the whole of b.
func (c *checker) check() error {
	c.space()
	return c.end(c.value(0))
}

// end checks that nothing follows a value; ok says that it is good itself.
func (c *checker) end(ok bool) error {
	c.space()
	switch {
	case ok && c.i == len(c.b):
		return nil
	case c.deep:
		return invalid("message is nested deeper than %d", MaxDepth)
	}
	return invalid("error reading JSON")
}

func (c *checker) space() { c.i = space(c.b, c.i) }

// next is the byte at which the checker stands; 0 at the end, which is no JSON
// anywhere.
func (c *checker) next() byte {
	if c.i < len(c.b) {
		return c.b[c.i]
	}
	return 0
}

func (c *checker) value(depth int) bool {
	switch b := c.next(); {
	case b == '"':
		return c.text()
	case b == '{' || b == '[':
		if depth == MaxDepth {
			c.deep = true
			return false
		}
		if b == '{' {
			return c.object(depth + 1)
		}
		return c.array(depth + 1)
	case b == 't':
		return c.literal("true")
	case b == 'f':
		return c.literal("false")
	case b == 'n':
		return c.literal("null")
	}
	return c.number()
}

func (c *checker) literal(s string) bool {
	if len(c.b)-c.i < len(s) || string(c.b[c.i:c.i+len(s)]) != s {
		return false
	}
	c.i += len(s)
	return true
}

func (c *checker) object(depth int) bool {
	more, ok := c.open('}')
	for more {
		_, _, more, ok = c.member(depth)
	}
	return ok
}

// member checks one property of an object and what follows it; ok says that all
// that was checked is good.
func (c *checker) member(depth int) (key, value []byte, more, ok bool) {
	c.space()
	at := c.i
	if c.next() != '"' || !c.text() {
		return nil, nil, false, false
	}
	key = c.b[at:c.i]
	if c.space(); c.next() != ':' {
		return nil, nil, false, false
	}
	c.i++
	c.space()
	at = c.i
	if !c.value(depth) {
		return nil, nil, false, false
	}
	value = c.b[at:c.i:c.i]
	more, ok = c.more('}')
	return key, value, more, ok
}

func (c *checker) array(depth int) bool {
	more, ok := c.open(']')
	for more {
		if c.space(); !c.value(depth) {
			return false
		}
		more, ok = c.more(']')
	}
	return ok
}

// open goes over the bracket at which an object or array begins; more says that
// it has elements.
func (c *checker) open(end byte) (more, ok bool) {
	c.i++
	if c.space(); c.next() == end {
		c.i++
		return false, true
	}
	return true, true
}

// more checks what follows a value: a comma, or the end.
func (c *checker) more(end byte) (more, ok bool) {
	c.space()
	b := c.next()
	c.i++
	return b == ',', b == ',' || b == end
}

// text checks a string. That it is UTF-8 is checked elsewhere.
func (c *checker) text() bool {
	for c.i++; ; c.i++ {
		c.i += clean(c.b[c.i:])
		switch c.next() {
		case '"':
			c.i++
			return true
		case '\\':
			if !c.escape() {
				return false
			}
		default:
			return false // a control character, or the end
		}
	}
}

// escape checks what is behind a backslash, and stays at its last byte.
func (c *checker) escape() bool {
	c.i++
	switch c.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		for range 4 {
			c.i++
			if !hexDigit(c.next()) {
				return false
			}
		}
		return true
	}
	return false
}

func hexDigit(b byte) bool {
	return digit(b) || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

func digit(b byte) bool { return b >= '0' && b <= '9' }

func (c *checker) number() bool {
	if c.next() == '-' {
		c.i++
	}
	if c.next() == '0' {
		c.i++
	} else if !c.digits() {
		return false
	}
	if c.next() == '.' {
		c.i++
		if !c.digits() {
			return false
		}
	}
	if b := c.next(); b != 'e' && b != 'E' {
		return true
	}
	c.i++
	if b := c.next(); b == '+' || b == '-' {
		c.i++
	}
	return c.digits()
}

// digits checks for one at least.
func (c *checker) digits() bool {
	start := c.i
	for digit(c.next()) {
		c.i++
	}
	return c.i > start
}
