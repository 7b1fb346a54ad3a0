package protocol

// What programs that speak JSON alone need, in short.

// AppendInvocation appends an Invocation as JSON.
func AppendInvocation(dst []byte, id, target string, args []any) ([]byte, error) {
	return JSON.Append(dst, &Message{Type: Invocation, ID: id, Target: target, Args: Values(args...)})
}

// AppendCancel appends a CancelInvocation as JSON.
func AppendCancel(dst []byte, id string) []byte {
	dst, _ = JSON.Append(dst, &Message{Type: CancelInvocation, ID: id})
	return dst
}

// AppendPing appends a Ping as JSON.
func AppendPing(dst []byte) []byte {
	dst, _ = JSON.Append(dst, &Message{Type: Ping})
	return dst
}

// Parse reads one JSON record.
func Parse(record []byte) (Message, error) { return JSON.Parse(record) }
