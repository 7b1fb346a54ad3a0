package transport

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// readBuffer is the library's buffer per socket. It is small because an idle
	// socket keeps it; long messages are read past it.
	readBuffer = 512
	// chunk is what Receive reads at once, from a pool.
	chunk = 4096
	// kernelBuffer bounds what the kernel holds for a peer that does not read:
	// grown by itself it hides a slow peer behind megabytes.
	kernelBuffer = 128 << 10
)

// Events are the owner's answers to what the library hears between messages.
// They are called by the goroutine that is in Receive and must not block.
type Events struct {
	// Ping: the peer asks for a pong with the same data.
	Ping func(data string)
	// Close: the peer closes with this code; answer with [CloseReply].
	Close func(code int)
}

// Socket is the server's end of one WebSocket. Receive belongs to one
// goroutine; the other methods may be called from anywhere.
type Socket struct {
	ws  *websocket.Conn
	raw net.Conn
	fd  descriptor // nil when raw is no plain TCP connection
}

// Pools shared by all sockets; they hold buffers, no state.
var (
	writeBuffers = &sync.Pool{}
	chunks       = sync.Pool{New: func() any { b := make([]byte, chunk); return &b }}
)

// Upgrade answers the request with a WebSocket. When it fails it has answered
// the request with an error already. checkOrigin must not be nil.
func Upgrade(w http.ResponseWriter, r *http.Request, checkOrigin func(*http.Request) bool, ev Events) (*Socket, error) {
	up := websocket.Upgrader{
		ReadBufferSize:  readBuffer,
		WriteBufferPool: writeBuffers,
		CheckOrigin:     checkOrigin,
	}
	ws, err := up.Upgrade(quickly{w}, r, nil)
	if err != nil {
		return nil, err
	}
	ws.SetPingHandler(func(data string) error { ev.Ping(data); return nil })
	ws.SetCloseHandler(func(code int, _ string) error { ev.Close(code); return nil })
	raw := ws.NetConn()
	bound(raw)
	return &Socket{ws: ws, raw: raw, fd: direct(raw)}, nil
}

func bound(c net.Conn) {
	if tcp, ok := plain(c); ok {
		_ = tcp.SetWriteBuffer(kernelBuffer) // a hint; without it more memory is used
	}
}

// Receive waits for a message and hands its bytes to take, part by part, as
// they come. What take gets is valid only during its call. There is no limit
// on a message, because nothing is kept of it: the limit that counts is the
// one per record inside. It returns io.EOF after the peer's close frame, and
// take's error.
func (s *Socket) Receive(take func(p []byte) error) error { return receive(s.ws, take) }

func receive(ws *websocket.Conn, take func(p []byte) error) error {
	_, r, err := ws.NextReader()
	if err != nil {
		return ended(err)
	}
	buf := chunks.Get().(*[]byte)
	defer chunks.Put(buf)
	for {
		n, err := r.Read(*buf)
		if n > 0 {
			if err := take((*buf)[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return ended(err)
		}
	}
}

// ended makes io.EOF of every ordinary way in which the peer ends, and gives a
// deadline its name back, which the library takes away.
func ended(err error) error {
	var late net.Error
	if errors.As(err, &late) && late.Timeout() {
		return os.ErrDeadlineExceeded
	}
	var closed *websocket.CloseError
	if errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure {
		return io.EOF
	}
	return err
}

// Write writes whole frames to the connection, bypassing the library.
func (s *Socket) Write(frames []byte) (int, error) { return s.raw.Write(frames) }

// SetReadDeadline bounds Receive. A Receive that has passed it cannot be
// resumed.
func (s *Socket) SetReadDeadline(t time.Time) error { return s.raw.SetReadDeadline(t) }

// SetWriteDeadline bounds Write.
func (s *Socket) SetWriteDeadline(t time.Time) error { return s.raw.SetWriteDeadline(t) }

// Close closes the connection at once, without a close frame.
func (s *Socket) Close() error { return s.raw.Close() }
