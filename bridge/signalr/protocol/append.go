package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// AppendInvocation appends an Invocation of target to dst. An empty id asks
// for no answer. It fails when an argument has no JSON; dst is then unchanged.
func AppendInvocation(dst []byte, id, target string, args []any) ([]byte, error) {
	b := append(dst, `{"type":1`...)
	b = appendID(b, id)
	b = append(b, `,"target":`...)
	b = appendText(b, target)
	b = append(b, `,"arguments":[`...)
	for i, arg := range args {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendValue(b, arg); err != nil {
			return dst, fmt.Errorf("argument %d of %s: %w", i, target, err)
		}
	}
	return append(b, ']', '}', Separator), nil
}

// AppendVoid appends the Completion of a method that has no result.
func AppendVoid(dst []byte, id string) []byte {
	dst = appendID(append(dst, `{"type":3`...), id)
	return append(dst, '}', Separator)
}

// AppendResult appends a Completion with a result; nil is a null result, which
// is not the same as none. It fails when result has no JSON; dst is then
// unchanged.
func AppendResult(dst []byte, id string, result any) ([]byte, error) {
	b := appendID(append(dst, `{"type":3`...), id)
	b, err := appendValue(append(b, `,"result":`...), result)
	if err != nil {
		return dst, fmt.Errorf("result: %w", err)
	}
	return append(b, '}', Separator), nil
}

// AppendError appends a Completion with an error.
func AppendError(dst []byte, id, reason string) []byte {
	dst = appendID(append(dst, `{"type":3`...), id)
	dst = appendText(append(dst, `,"error":`...), reason)
	return append(dst, '}', Separator)
}

// AppendItem appends a StreamItem of the stream with that id. It fails when item
// has no JSON; dst is then unchanged.
func AppendItem(dst []byte, id string, item any) ([]byte, error) {
	b := appendID(append(dst, `{"type":2`...), id)
	b, err := appendValue(append(b, `,"item":`...), item)
	if err != nil {
		return dst, fmt.Errorf("item: %w", err)
	}
	return append(b, '}', Separator), nil
}

// AppendCancel appends a CancelInvocation.
func AppendCancel(dst []byte, id string) []byte {
	dst = appendID(append(dst, `{"type":5`...), id)
	return append(dst, '}', Separator)
}

// AppendPing appends a Ping.
func AppendPing(dst []byte) []byte { return append(append(dst, `{"type":6}`...), Separator) }

// AppendClose appends a Close; an empty reason means that nothing went wrong.
func AppendClose(dst []byte, reason string, allowReconnect bool) []byte {
	dst = append(dst, `{"type":7`...)
	if reason != "" {
		dst = appendText(append(dst, `,"error":`...), reason)
	}
	if allowReconnect {
		dst = append(dst, `,"allowReconnect":true`...)
	}
	return append(dst, '}', Separator)
}

func appendID(b []byte, id string) []byte {
	if id == "" {
		return b
	}
	return appendText(append(b, `,"invocationId":`...), id)
}

// appendValue appends v as JSON. HTML characters stay as they are, and bytes
// that are no UTF-8 (a json.RawMessage can hold them) are replaced: a text
// frame must not carry them.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case string:
		return appendText(b, v), nil
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return b, err
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\ufffd"))
	}
	return append(b, text...), nil
}

const hex = "0123456789abcdef"

// appendText appends s as a JSON string.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r) // an invalid byte becomes U+FFFD
			i += n
			continue
		}
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
		i++
	}
	return append(b, '"')
}
