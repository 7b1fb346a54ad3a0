package signalr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tacet-hub/tacet/bridge/signalr"
	"github.com/tacet-hub/tacet/bridge/signalr/signalrtest"
)

// uploaders are the methods with uploads that the tests call.
func uploaders(s *signalr.Server) {
	s.Method("Concat", signalr.Func2(func(ctx context.Context, _ *signalr.Call, sep string, words signalr.Upload[string]) (string, error) {
		var list []string
		for word, err := range words.All(ctx) {
			if err != nil {
				return "", err
			}
			list = append(list, word)
		}
		return strings.Join(list, sep), nil
	}))
	s.Method("Zip", signalr.Stream3(func(ctx context.Context, _ *signalr.Call, a signalr.Upload[int], sep string, b signalr.Upload[int], out *signalr.Stream[string]) error {
		for {
			x, errX := a.Next(ctx)
			y, errY := b.Next(ctx)
			if err := errors.Join(errX, errY); err != nil {
				if errors.Is(errX, io.EOF) && errors.Is(errY, io.EOF) {
					return nil
				}
				return err
			}
			if err := out.Send(fmt.Sprint(x, sep, y)); err != nil {
				return err
			}
		}
	}))
	s.Method("First", signalr.Func1(func(ctx context.Context, _ *signalr.Call, words signalr.Upload[string]) (string, error) {
		return words.Next(ctx)
	}))
}

func upload(id, target, args string, streams ...string) string {
	return fmt.Sprintf(`{"type":1,"invocationId":%q,"target":%q,"arguments":[%s],"streamIds":[%s]}`+"\x1e", id, target, args, strings.Join(streams, ","))
}

func item(id, v string) string {
	return fmt.Sprintf(`{"type":2,"invocationId":%q,"item":%s}`+"\x1e", id, v)
}

func end(id, reason string) string {
	if reason != "" {
		return fmt.Sprintf(`{"type":3,"invocationId":%q,"error":%q}`+"\x1e", id, reason)
	}
	return fmt.Sprintf(`{"type":3,"invocationId":%q}`+"\x1e", id)
}

func TestUploadOnTheWire(t *testing.T) {
	h := newSite(t, signalr.Config{}, uploaders)
	r := h.greeted(t, "")
	fails := `"error":"An unexpected error occurred invoking `
	for _, tc := range []struct{ name, send, want string }{
		{"items right behind the call", upload("1", "concat", `"-"`, `"u1"`) + item("u1", `"a"`) + item("u1", `"b"`) + end("u1", ""),
			`{"type":3,"invocationId":"1","result":"a-b"}`},
		{"no items", upload("2", "Concat", `"-"`, `"u1"`) + end("u1", ""), `{"type":3,"invocationId":"2","result":""}`},
		{"upload that fails", upload("3", "Concat", `"-"`, `"u1"`) + item("u1", `"a"`) + end("u1", "broken"),
			`{"type":3,"invocationId":"3",` + fails + `'Concat' on the server. HubException: broken"}`},
		{"item of another type", upload("4", "Concat", `"-"`, `"u1"`) + item("u1", `1`),
			`{"type":3,"invocationId":"4",` + fails + `'Concat' on the server. HubException: Failed to bind Stream message."}`},
		{"late items", item("u1", `"x"`) + end("u1", "") + end("u1", "late") + call(1, "5", "Void", ""), `{"type":3,"invocationId":"5"}`},
		{"too few uploads", call(1, "6", "Concat", `"-"`), `{"type":3,"invocationId":"6",` + fails + `'Concat' on the server. HubException: Client sent 0 stream(s), Hub method expects 1."}`},
		{"too many uploads", upload("7", "Concat", `"-"`, `"a"`, `"b"`),
			`{"type":3,"invocationId":"7",` + fails + `'Concat' on the server. HubException: Client sent 2 stream(s), Hub method expects 1."}`},
		{"uploads for a plain method", upload("8", "Void", ``, `"a"`),
			`{"type":3,"invocationId":"8",` + fails + `'Void' on the server. HubException: Client sent 1 stream(s), Hub method expects 0."}`},
		{"call that ends before its upload", upload("9", "First", ``, `"u1"`) + item("u1", `"a"`) + item("u1", `"b"`), `{"type":3,"invocationId":"9","result":"a"}`},
		{"items behind its end", item("u1", `"c"`) + end("u1", "") + call(1, "10", "Void", ""), `{"type":3,"invocationId":"10"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r.t = t
			r.send(tc.send)
			r.want(tc.want)
		})
	}
}

func TestUploadIDInUse(t *testing.T) {
	h := newSite(t, signalr.Config{}, uploaders)
	r := h.greeted(t, "")
	r.send(upload("1", "Concat", `"-"`, `"u"`) + upload("2", "Concat", `"-"`, `"u"`))
	r.want(`{"type":3,"invocationId":"2","error":"An unexpected error occurred invoking 'Concat' on the server. HubException: a stream id of the call is in use"}`)
	r.send(item("u", `"a"`) + end("u", ""))
	r.want(`{"type":3,"invocationId":"1","result":"a"}`)
}

func TestUploadsBindInOrder(t *testing.T) {
	h := newSite(t, signalr.Config{}, uploaders)
	c := h.dial(t, signalrtest.Options{})
	ctx := context.Background()
	s, err := c.StreamUpload(ctx, "Zip", 2, "/")
	if err != nil {
		t.Fatal(err)
	}
	// All of one upload before the other: more than fits, and no deadlock.
	for i := range 50 {
		_ = s.Send(0, i)
	}
	for i := range 50 {
		_ = s.Send(1, 100+i)
		if got, err := s.Next(ctx); err != nil || string(got) != fmt.Sprintf(`"%d/%d"`, i, 100+i) {
			t.Fatalf("item %d: %s, %v", i, got, err)
		}
	}
	_, _ = s.End(0, ""), s.End(1, "")
	if _, err := s.Next(ctx); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestCancelEndsAnUpload(t *testing.T) {
	h := newSite(t, signalr.Config{}, uploaders)
	c := h.dial(t, signalrtest.Options{})
	ctx := context.Background()
	s, err := c.Upload(ctx, "Concat", 1, "-")
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(0, "a")
	_ = s.Cancel()
	if _, err := s.Result(ctx); err == nil || err.Error() != "An unexpected error occurred invoking 'Concat' on the server." {
		t.Errorf("cancelled call ended with %v", err)
	}
}

// An upload that nobody reads holds the client up: the server keeps
// StreamBufferCapacity items of it and reads no further.
func TestUploadHoldsItsClientUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan struct{})
		h := newSite(t, signalr.Config{StreamBufferCapacity: 3}, func(s *signalr.Server) {
			s.Method("Slow", signalr.Func1(func(ctx context.Context, _ *signalr.Call, items signalr.Upload[int]) (sum int, err error) {
				<-read
				for n, err := range items.All(ctx) {
					if err != nil {
						return 0, err
					}
					sum += n
				}
				return sum, nil
			}))
		})
		r := h.greeted(t, "")
		r.send(upload("1", "Slow", "", `"u"`))
		sent := 0
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			for ; sent < 50; sent++ {
				r.send(item("u", "1"))
			}
			r.send(end("u", ""))
		}()
		synctest.Wait()
		if sent > 6 {
			t.Errorf("the server took %d items that nobody read", sent)
		}
		close(read)
		<-finished
		r.want(`{"type":3,"invocationId":"1","result":50}`)
	})
}

func TestLostConnectionEndsAnUpload(t *testing.T) {
	began, ended := make(chan struct{}), make(chan error, 1)
	h := newSite(t, signalr.Config{}, func(s *signalr.Server) {
		s.Method("Take", signalr.Do1(func(ctx context.Context, _ *signalr.Call, items signalr.Upload[int]) error {
			close(began)
			_, err := items.Next(context.Background())
			ended <- err
			return err
		}))
	})
	c := h.dial(t, signalrtest.Options{})
	if _, err := c.Upload(context.Background(), "Take", 1); err != nil {
		t.Fatal(err)
	}
	<-began
	c.Drop()
	if err := <-ended; !errors.Is(err, signalr.ErrClosed) {
		t.Errorf("reader ended with %v", err)
	}
}
