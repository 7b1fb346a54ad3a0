package update

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Source is where updates come from. Its methods block for the network and end
// with ctx.
type Source interface {
	// Release is the newest release for an architecture.
	Release(ctx context.Context, arch string) (Release, error)
	// Program is the program of a release, from a byte on; where the source cannot
	// go on there, the answer says from which byte on it is, 0 or from.
	Program(ctx context.Context, m Manifest, from int64) (body io.ReadCloser, at int64, err error)
}

// Errors of a source.
var (
	ErrNoRelease = errors.New("the hub has no release for this processor")
	ErrMoved     = errors.New("the hub has another release by now")
)

// errNoWeb is the error of a hub that is connected by MQTT alone.
var errNoWeb = errors.New("the address of the hub's web listener is not known")

// errGone is an answer that comes again however often one asks.
var errGone = errors.New("the hub refuses")

// Path is where a hub serves the releases for an architecture (DESIGN.md §3.2).
func Path(arch string) string { return "/updates/" + arch }

// stall is how long the hub may send nothing while something is awaited.
const stall = 30 * time.Second

// Web asks a hub's web listener at an address for a path, and shows who asks. It
// follows no redirection.
type Web interface {
	Get(ctx context.Context, base, path string, head http.Header) (*http.Response, error)
}

// Hub is the [Source] that a hub is.
type Hub struct {
	Web   Web
	Base  func() string // http://hub:8080; empty while that is not known
	Stall time.Duration // how long the hub may send nothing; 0: 30 s
}

// Release asks for the release.
func (h Hub) Release(ctx context.Context, arch string) (Release, error) {
	res, done, err := h.get(ctx, Path(arch), nil)
	if err != nil {
		return Release{}, err
	}
	defer done()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return Release{}, fmt.Errorf("%w: %s", ErrNoRelease, arch)
	default:
		return Release{}, refusal(res)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, MaxRelease+1))
	if err != nil {
		return Release{}, err
	}
	return ParseRelease(b)
}

// Program asks for what is missing of a program; for all of it packed, which is
// less than half.
func (h Hub) Program(ctx context.Context, m Manifest, from int64) (io.ReadCloser, int64, error) {
	head := http.Header{"If-Match": {ETag(m)}}
	if from > 0 {
		head.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
	} else {
		head.Set("Accept-Encoding", "gzip")
	}
	res, done, err := h.get(ctx, Path(m.Arch)+"/program", head)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case res.StatusCode == http.StatusOK && res.Header.Get("Content-Encoding") == "gzip":
		body, err := gzip.NewReader(res.Body)
		if err != nil {
			done()
			return nil, 0, err
		}
		return answer{body, done}, 0, nil
	case res.StatusCode == http.StatusOK:
		return answer{res.Body, done}, 0, nil
	case res.StatusCode == http.StatusPartialContent && res.Header.Get("Content-Range") == fmt.Sprintf("bytes %d-%d/%d", from, m.Size-1, m.Size):
		return answer{res.Body, done}, from, nil
	case res.StatusCode == http.StatusPreconditionFailed, res.StatusCode == http.StatusNotFound:
		err = ErrMoved
	default:
		err = refusal(res)
	}
	done()
	return nil, 0, err
}

// ETag is by which the hub knows the program of a release.
func ETag(m Manifest) string { return `"` + m.SHA256 + `"` }

// answer is a body that ends its request when it is closed.
type answer struct {
	io.Reader
	done func()
}

func (a answer) Close() error {
	a.done()
	return nil
}

// get sends a request. Its body ends with an error where nothing comes for too
// long. done must be called.
func (h Hub) get(ctx context.Context, path string, head http.Header) (*http.Response, func(), error) {
	ctx, cancel := context.WithCancelCause(ctx)
	patience := h.Stall
	if patience == 0 {
		patience = stall
	}
	timer := time.AfterFunc(patience, func() { cancel(fmt.Errorf("the hub sent nothing for %v", patience)) })
	done := func() { timer.Stop(); cancel(nil) }
	base := h.Base()
	if base == "" {
		done()
		return nil, nil, errNoWeb
	}
	res, err := h.Web.Get(ctx, base, path, head)
	if err != nil {
		err = cause(ctx, err)
		done()
		return nil, nil, err
	}
	body := res.Body
	res.Body = struct {
		io.Reader
		io.Closer
	}{watched{ctx, body, timer, patience}, body}
	return res, func() { done(); _ = body.Close() }, nil
}

// watched is a body whose every piece renews the patience.
type watched struct {
	ctx      context.Context
	body     io.Reader
	timer    *time.Timer
	patience time.Duration
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.body.Read(b)
	w.timer.Reset(w.patience)
	if err != nil && err != io.EOF {
		err = cause(w.ctx, err)
	}
	return n, err
}

// cause is why a request of ours has ended, where that was not ctx itself.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil && !errors.Is(c, context.Canceled) {
		return c
	}
	return err
}

// refusal is an answer that is none of those awaited.
func refusal(res *http.Response) error {
	if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests {
		return fmt.Errorf("the hub answers %s", res.Status)
	}
	return fmt.Errorf("%w: it answers %s", errGone, res.Status)
}
