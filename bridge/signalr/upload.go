package signalr

import (
	"context"
	"errors"
	"io"
	"iter"
)

// errUploadFull ends an upload whose items nobody reads while the method waits
// for something else of the same client.
var errUploadFull = Error("too many items of an upload wait")

// upload is a client stream: items of one call's argument, in order. Its
// fields are guarded by the inbox.
type upload struct {
	in     *inbox
	id     string
	items  []value
	bytes  int
	ended  bool  // nothing follows
	err    error // why it ended; io.EOF in good order
	signal chan struct{}
}

// wake tells the method that something changed.
func (u *upload) wake() {
	select {
	case u.signal <- struct{}{}:
	default:
	}
}

func (u *upload) end(err error) {
	if !u.ended {
		u.ended, u.err = true, err
		u.wake()
	}
}

// bind makes the uploads of a call known, because items may follow at once; it
// does nothing when an id is in use.
func (in *inbox) bind(call *Call) bool {
	if len(call.uploads) == 0 {
		return true
	}
	if in.uploads == nil {
		in.uploads = make(map[string]*upload)
	}
	for i, u := range call.uploads {
		if in.uploads[u.id] != nil {
			for _, before := range call.uploads[:i] {
				delete(in.uploads, before.id)
			}
			return false
		}
		in.uploads[u.id] = u
	}
	return true
}

// unbind forgets the uploads of a completed call; what still comes is ignored.
func (in *inbox) unbind(call *Call) {
	for _, u := range call.uploads {
		u.end(ErrClosed)
		u.items, u.bytes = nil, 0
		if in.uploads[u.id] == u {
			delete(in.uploads, u.id)
		}
	}
	if len(call.uploads) > 0 {
		in.room.Broadcast()
	}
}

// item adds an item to an upload; it blocks while the upload is full, unless
// somebody waits for the reader. Without such an upload it reports false.
func (in *inbox) item(id string, raw value, stalled func(bool)) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	u := in.uploads[id]
	if u == nil || u.ended {
		return false
	}
	in.await(func() bool {
		return len(u.items) >= in.maxItems && !u.ended && !in.closed && in.thirst == 0
	}, stalled)
	if u.ended || in.closed {
		return false
	}
	if len(u.items) >= in.maxItems && (u.bytes >= in.maxBytes || len(u.items) >= swamp*swamp*in.maxItems) {
		u.end(errUploadFull)
		return false
	}
	u.items = append(u.items, raw)
	u.bytes += sizeOf(raw)
	u.wake()
	return true
}

// finish ends an upload as the client wants it. Without such an upload it
// reports false.
func (in *inbox) finish(id string, err error) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	u := in.uploads[id]
	if u == nil {
		return false
	}
	delete(in.uploads, id)
	u.end(err)
	return true
}

// take removes the oldest item. ok is false when there is none yet.
func (u *upload) take() (raw value, err error, ok bool) {
	u.in.mu.Lock()
	defer u.in.mu.Unlock()
	switch {
	case len(u.items) > 0:
		raw = u.items[0]
		var none value
		u.items[0] = none
		u.items = u.items[1:]
		u.bytes -= sizeOf(raw)
		u.in.room.Broadcast()
		return raw, nil, true
	case u.ended:
		return raw, u.err, true
	case u.in.closed:
		return raw, ErrClosed, true
	}
	return raw, nil, false
}

// next waits for an item.
func (u *upload) next(ctx context.Context) (value, error) {
	raw, err, ok := u.take()
	if ok {
		return raw, err
	}
	u.in.drink(1)
	defer u.in.drink(-1)
	for {
		if raw, err, ok = u.take(); ok {
			return raw, err
		}
		select {
		case <-u.signal:
		case <-ctx.Done():
			return raw, ctx.Err()
		}
	}
}

// Upload is a stream of items that a client sends as one argument of a call. A
// parameter of this type of a typed method ([Func1] and its like) is bound to
// the next such stream; [UploadOf] gives it to a [Handler]. The server holds StreamBufferCapacity items
// of it; when nobody reads them, the client's connection is not read.
//
// One goroutine at a time may read. The upload ends with its call.
type Upload[T any] struct{ u *upload }

// UploadOf returns the i-th upload of a call.
func UploadOf[T any](c *Call, i int) Upload[T] { return Upload[T]{c.uploads[i]} }

// Next waits for the next item. The error is [io.EOF] when the client has
// completed the stream, a *[HubError] with the client's text when the stream
// failed or an item was not a T, that of ctx, or [ErrClosed] when call or
// connection have ended. The context of the call is the right one.
func (u Upload[T]) Next(ctx context.Context) (item T, err error) {
	raw, err := u.u.next(ctx)
	if err != nil {
		return item, err
	}
	if err := bind(raw, &item); err != nil {
		return item, Error("Failed to bind Stream message.")
	}
	return item, nil
}

// All iterates over the items until the stream has ended; when that is not in
// good order, the last pair has the error.
func (u Upload[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			item, err := u.Next(ctx)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// attach binds a parameter of a typed method to an upload.
func (u *Upload[T]) attach(up *upload) { u.u = up }

// attacher is a parameter that is an upload.
type attacher interface{ attach(*upload) }
