//go:build !unix

package broker

import "io"

// readerBytes is the library's own buffer for each connection.
const readerBytes = 2 << 10

// fill is not called: rawConn answers nil.
func (in *input) fill() error { return io.EOF }
