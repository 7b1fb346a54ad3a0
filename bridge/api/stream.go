package api

import "net/http"

// streaming is the body of an answer whose length nobody knows when it begins.
type streaming struct {
	c     *call
	out   answer
	begun bool
}

// Write sends the head before the first bytes: until then the answer can be an error.
func (s *streaming) Write(b []byte) (int, error) {
	if !s.begun {
		s.begun = true
		s.c.w.Header().Set("Content-Type", s.out.kind)
		s.c.w.WriteHeader(s.out.status)
	}
	return s.c.w.Write(b)
}

// flow writes an answer that is a stream. One that fails in the middle breaks its
// connection, so that nobody takes it for whole.
func (out answer) flow(c *call) error {
	s := &streaming{c: c, out: out}
	if c.Method == http.MethodHead {
		c.w.Header().Set("Content-Type", out.kind)
		c.w.WriteHeader(out.status)
		return nil
	}
	err := out.stream(s)
	switch {
	case err != nil && s.begun:
		panic(http.ErrAbortHandler)
	case err == nil:
		_, err = s.Write(nil) // the head, where nothing came
	}
	return err
}
