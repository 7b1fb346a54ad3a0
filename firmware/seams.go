package firmware

import (
	"context"
	"io"
	"time"

	"github.com/tacet-hub/tacet/broker/area"
)

// Player is a loudspeaker. It gets 16 bit little-endian samples. All methods but
// Close are called by one goroutine at a time.
type Player interface {
	// Open makes it ready; it is called once, before anything else.
	Open(rate, channels int) error
	// Write takes samples to be heard after those before them. It may block
	// while its buffer is full.
	Write(samples []byte) (int, error)
	// Delay is how long it takes until what was written has been heard.
	Delay() (time.Duration, error)
	// Drain blocks until everything was heard, or ctx ends.
	Drain(ctx context.Context) error
	// Drop forgets what was not heard yet, at once.
	Drop() error
	// Close drops, and gives the loudspeaker back.
	Close() error
	// Tail is how long sound can go on after Drop, or after the death of the
	// process.
	Tail() time.Duration
}

// Recorder is a [Player] that notes which samples belong to which play: Began
// before the first, Ended after the last. The agent uses it where a player has
// it.
type Recorder interface {
	Began(work string, token uint64)
	Ended(work string, token uint64)
}

// Chooser is a [Player] that has several ways to sound. The agent tells of it in
// its status where a player is one. Its method must not block.
type Chooser interface {
	// Using names the way in use; it is empty where none works.
	Using() string
}

// Beacon is the switches of a device. The methods must not block.
type Beacon interface {
	// Amp switches the amplifier: on before the first sample, off a while after
	// the last.
	Amp(on bool) error
	// Lamp is lit while the area sounds.
	Lamp(on bool) error
	// Light has the status light show a state, one of [Lights], until the next
	// call; a state that it does not know is an error and changes nothing.
	Light(state string) error
	// Close switches everything off.
	Close() error
}

// Watchdog ends the run, or resets the machine, when it is not fed for a while.
// Its method must not block.
type Watchdog interface{ Feed() error }

// Clock says how much time has passed since some moment. It never goes back, and
// goes on while the machine is suspended: leases are counted on it.
type Clock interface{ Now() time.Duration }

// Renderer makes a work into sound: mono, 16 bit little-endian, at the rate of
// [Config]. Clip is the sound file of the work, which takes the place of its
// text; nil: it has none, or it could not be had. Render is called by two
// goroutines, may block, and must end with ctx.
type Renderer interface {
	Render(ctx context.Context, b area.Body, clip io.ReadSeeker) ([]byte, error)
}

// Clips brings sound files from the hub onto the device; package fetch does.
type Clips interface {
	// Fetch blocks until the whole clip is there and has the bytes that its name
	// ("sha256:…") says, until it is known that it cannot be had, or until ctx
	// ends. hub tells where the hub's web listener is, empty while that is not
	// known. It is called by several goroutines.
	Fetch(ctx context.Context, hub func() string, clip string) (io.ReadSeekCloser, error)
}

// Sharer is [Clips] that come once for all devices of an area. The agent uses it
// where its clips have it. Both block until ctx ends at most, and are called by
// one goroutine each.
type Sharer interface {
	// Await brings a clip that another device of the area was asked to bring from
	// the hub.
	Await(ctx context.Context, hub func() string, clip string) error
	// Spread waits until the others have a clip, and tells who has it and who has
	// not.
	Spread(ctx context.Context, clip string) (has, lacks []area.DeviceID)
}

// Uplink is the connection to the hub; package uplink has one.
type Uplink interface {
	area.Bus
	// Run keeps the connection until ctx ends, then sends what is queued and says
	// goodbye.
	Run(ctx context.Context) error
	// Leave sets the function that makes the Will of connection conn.
	Leave(will func(conn uint64) area.Message)
	// Watch calls changed when a connection stands or is gone; it only enqueues.
	Watch(changed func(up bool, conn uint64, hub string)) (cancel func())
	// Drop closes the connection without a goodbye; it is made again.
	Drop()
}

// Rester is an [Uplink] that can leave the connection to another machine of the
// device's name: one that is lost within d is not made again before d is over. The
// agent uses it where an uplink has it.
type Rester interface{ Rest(d time.Duration) }

// Refusable is an [Uplink] that knows whether the hub refuses the device's
// credential. The agent uses it where an uplink has it.
type Refusable interface{ Refused() bool }
