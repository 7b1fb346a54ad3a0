package garbage

import "time"

const (
	// between is how far apart two collections of a busy program should be: what
	// they cost is then lost in what the program does.
	between = 500 * time.Millisecond
	// least is at what size the runtime first collects, in bytes, and therefore
	// less than which nobody need spare.
	least = 4 << 20
	// most is the garbage that may lie because of us, in bytes.
	most = 64 << 20
	// part of a memory limit is what most may be of it.
	part = 8
	// usual is the runtime's own percentage.
	usual = 100
)

// cycle is what one collection found.
type cycle struct {
	at        time.Duration // of the program's life
	allocated uint64        // bytes since the program began
	live      uint64        // bytes that were reachable on the heap
	roots     uint64        // bytes that had to be looked through beside it
	limit     uint64        // of memory, in bytes; what the runtime says without one is larger than any other
}

// pace is what is known after a cycle.
type pace struct {
	last  cycle
	spare uint64 // garbage that may lie before the next one, in bytes; below what is live it means nothing
}

// step says how much garbage may lie until the next cycle, in percent of what a
// cycle finds, from 100.
func (p *pace) step(now cycle) int {
	wanted := p.comes(now)
	if now.live > p.last.live+p.last.live/8 {
		wanted = min(wanted, p.spare) // what comes stays: it is no garbage
	}
	p.spare = min(wanted, 2*max(p.spare, least), most, now.limit/part)
	p.last = now
	base := max(now.live+now.roots, least)
	return int(max(usual, p.spare*usual/base))
}

// comes is how much will be allocated until the next cycle, if that comes when
// it should and nothing changes; of the first nothing is known.
func (p *pace) comes(now cycle) uint64 {
	took := now.at - p.last.at
	if p.last == (cycle{}) || took <= 0 {
		return 0
	}
	return uint64(float64(now.allocated-p.last.allocated) * float64(between) / float64(took))
}
