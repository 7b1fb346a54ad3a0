package signalr

import (
	"context"
	"reflect"
	"strings"
)

// Method is a hub method with all that the server knows of it. [Func1], [Do1],
// [Stream1] and their like make one from a Go function.
type Method struct {
	// Call is a method that answers once.
	Call Handler
	// Stream is a method that answers with a stream. A Method has either.
	Stream StreamHandler
	// Uploads is how many streams the client must send with the call.
	Uploads int
	// Require is what a caller must meet; otherwise the call ends with "Failed to
	// invoke 'X' because user is unauthorized".
	Require []Requirement
}

// handler is the method as the filters see it.
func (m *Method) handler() Handler {
	if m.Stream != nil {
		return m.Stream.handler
	}
	return m.Call
}

// Requiring returns the method with more requirements.
func (m Method) Requiring(more ...Requirement) Method {
	m.Require = append(m.Require[:len(m.Require):len(m.Require)], more...)
	return m
}

// Method makes m the method of that name; case does not count. It must be
// called before serving, and panics when the name is empty or taken, or when m
// has not one of Call and Stream.
func (s *Server) Method(name string, m Method) {
	key := strings.ToLower(name)
	if key == "" || s.methods[key] != nil {
		panic("signalr: method name empty or taken: " + name)
	}
	if (m.Call == nil) == (m.Stream == nil) {
		panic("signalr: method must have one of Call and Stream: " + name)
	}
	s.methods[key], s.methods[name] = &m, &m // most clients write it as we do
}

// findMethod gives the method of that name, nil when there is none.
func (s *Server) findMethod(name string) *Method {
	if m := s.methods[name]; m != nil {
		return m
	}
	return s.methods[strings.ToLower(name)]
}

// Handle makes h the method of that name, as [Server.Method] does.
func (s *Server) Handle(method string, h Handler, require ...Requirement) {
	s.Method(method, Method{Call: h, Require: require})
}

// HandleStream makes h the stream of that name, as [Server.Method] does.
func (s *Server) HandleStream(method string, h StreamHandler, require ...Requirement) {
	s.Method(method, Method{Stream: h, Require: require})
}

// params binds the arguments and the uploads of a call to typed parameters, each
// in its own order.
func (c *Call) params(into ...any) error {
	args := make([]any, 0, len(into))
	n := 0
	for _, p := range into {
		if a, ok := p.(attacher); ok {
			a.attach(c.uploads[n])
			n++
			continue
		}
		args = append(args, p)
	}
	return c.Bind(args...)
}

// uploads counts which of the parameters are uploads.
func uploads(params ...any) (n int) {
	for _, p := range params {
		if _, ok := p.(attacher); ok {
			n++
		}
	}
	return n
}

// outcome is the result of a typed method: it always has one, if only null.
func outcome[R any](r R, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	if v := reflect.ValueOf(&r).Elem(); v.Kind() == reflect.Interface && v.IsNil() {
		return Null{}, nil
	}
	return r, nil
}

// typed makes a Method whose parameters are made anew for each call.
func typed(h Handler, params ...any) Method { return Method{Call: h, Uploads: uploads(params...)} }

// typedStream is typed for a stream.
func typedStream(h StreamHandler, params ...any) Method {
	return Method{Stream: h, Uploads: uploads(params...)}
}

// Func0 is the method that f is: no argument, and a result. The number and the
// types of the arguments of a Func are checked with every call, and by the
// compiler where f is written; a parameter of type [Upload] is a client stream.
func Func0[R any](f func(ctx context.Context, c *Call) (R, error)) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		if err := c.params(); err != nil {
			return nil, err
		}
		return outcome(f(ctx, c))
	})
}

// Func1 is [Func0] with one argument.
func Func1[A, R any](f func(ctx context.Context, c *Call, a A) (R, error)) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		var a A
		if err := c.params(&a); err != nil {
			return nil, err
		}
		return outcome(f(ctx, c, a))
	}, new(A))
}

// Func2 is [Func0] with two arguments.
func Func2[A, B, R any](f func(ctx context.Context, c *Call, a A, b B) (R, error)) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		var a A
		var b B
		if err := c.params(&a, &b); err != nil {
			return nil, err
		}
		return outcome(f(ctx, c, a, b))
	}, new(A), new(B))
}

// Func3 is [Func0] with three arguments.
func Func3[A, B, C, R any](f func(ctx context.Context, c *Call, a A, b B, d C) (R, error)) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		var a A
		var b B
		var d C
		if err := c.params(&a, &b, &d); err != nil {
			return nil, err
		}
		return outcome(f(ctx, c, a, b, d))
	}, new(A), new(B), new(C))
}

// Do0 is a method without argument and result.
func Do0(f func(ctx context.Context, c *Call) error) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		if err := c.params(); err != nil {
			return nil, err
		}
		return nil, f(ctx, c)
	})
}

// Do1 is [Func1] without a result.
func Do1[A any](f func(ctx context.Context, c *Call, a A) error) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		var a A
		if err := c.params(&a); err != nil {
			return nil, err
		}
		return nil, f(ctx, c, a)
	}, new(A))
}

// Do2 is [Func2] without a result.
func Do2[A, B any](f func(ctx context.Context, c *Call, a A, b B) error) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		var a A
		var b B
		if err := c.params(&a, &b); err != nil {
			return nil, err
		}
		return nil, f(ctx, c, a, b)
	}, new(A), new(B))
}

// Do3 is [Func3] without a result.
func Do3[A, B, C any](f func(ctx context.Context, c *Call, a A, b B, d C) error) Method {
	return typed(func(ctx context.Context, c *Call) (any, error) {
		var a A
		var b B
		var d C
		if err := c.params(&a, &b, &d); err != nil {
			return nil, err
		}
		return nil, f(ctx, c, a, b, d)
	}, new(A), new(B), new(C))
}

// Stream0 is a method without argument that answers with a stream of T.
func Stream0[T any](f func(ctx context.Context, c *Call, out *Stream[T]) error) Method {
	return typedStream(func(ctx context.Context, c *Call, out *Stream[any]) error {
		if err := c.params(); err != nil {
			return err
		}
		return f(ctx, c, &Stream[T]{out.out})
	})
}

// Stream1 is [Stream0] with one argument.
func Stream1[A, T any](f func(ctx context.Context, c *Call, a A, out *Stream[T]) error) Method {
	return typedStream(func(ctx context.Context, c *Call, out *Stream[any]) error {
		var a A
		if err := c.params(&a); err != nil {
			return err
		}
		return f(ctx, c, a, &Stream[T]{out.out})
	}, new(A))
}

// Stream2 is [Stream0] with two arguments.
func Stream2[A, B, T any](f func(ctx context.Context, c *Call, a A, b B, out *Stream[T]) error) Method {
	return typedStream(func(ctx context.Context, c *Call, out *Stream[any]) error {
		var a A
		var b B
		if err := c.params(&a, &b); err != nil {
			return err
		}
		return f(ctx, c, a, b, &Stream[T]{out.out})
	}, new(A), new(B))
}

// Stream3 is [Stream0] with three arguments.
func Stream3[A, B, C, T any](f func(ctx context.Context, c *Call, a A, b B, d C, out *Stream[T]) error) Method {
	return typedStream(func(ctx context.Context, c *Call, out *Stream[any]) error {
		var a A
		var b B
		var d C
		if err := c.params(&a, &b, &d); err != nil {
			return err
		}
		return f(ctx, c, a, b, d, &Stream[T]{out.out})
	}, new(A), new(B), new(C))
}
