package firmware

import (
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// show brings status, lamp and amplifier into line with what the device does.
func (a *Agent) show() {
	now := a.now()
	a.lamp(now)
	a.lit(now)
	a.noteSound(now)
	doing := a.doing()
	a.shared.idle.Store(doing == "idle" && a.play == nil)
	s := a.statusOf(true, a.link.conn, doing)
	if a.link.up && (!sameStatus(s, a.status) || a.worthTelling(now)) {
		a.status = s
		s.Health = a.health
		a.told, a.toldAt = a.health, now
		a.publish(area.Message{Topic: area.StatusTopic(a.cfg.Device), Payload: s.Encode(), QoS: 1, Retain: true})
	}
}

func sameStatus(a, b area.Status) bool {
	if !same(a.Volume, b.Volume) || !same(a.Update, b.Update) || !same(a.Peers, b.Peers) {
		return false
	}
	a.Volume, b.Volume, a.Update, b.Update, a.Peers, b.Peers = nil, nil, nil, nil, nil, nil
	return a == b
}

// doing is the state that people see.
func (a *Agent) doing() string {
	switch {
	case a.turn.Phase() == turn.Playing:
		return "playing"
	case a.turn.Phase() == turn.Waiting, len(a.queue) > 0 && a.current == nil:
		return "waiting"
	}
	return "idle"
}

// will is what the hub shall publish if connection conn dies. It is called by
// the uplink's goroutine.
func (a *Agent) will(conn uint64) area.Message {
	s := a.statusOf(false, conn, "idle")
	return area.Message{Topic: area.StatusTopic(a.cfg.Device), Payload: s.Encode(), QoS: 1, Retain: true}
}

func (a *Agent) statusOf(online bool, conn uint64, state string) area.Status {
	volume := int(a.shared.volume.Load())
	return area.Status{V: 1, Online: online, Boot: a.shared.boot.Load(), Conn: conn, MID: a.Memory.MID(),
		Area: a.cfg.AreaText, Location: a.cfg.Location, Name: a.cfg.Name, State: state,
		Volume: &volume, Muted: a.shared.muted.Load(), Audio: a.output(), Version: a.cfg.Version, Update: a.updated(), Peers: a.peer(online)}
}

// peer is what the status says of leading: nothing in the Will.
func (a *Agent) peer(online bool) *area.Peer {
	if !online || a.Peer == nil || a.cfg.Start.Safe {
		return nil
	}
	return a.Peer()
}

// output is what makes the sound.
func (a *Agent) output() string {
	c, ok := a.Player.(Chooser)
	if !ok {
		return a.cfg.Audio
	}
	if using := c.Using(); using != "" {
		return using
	}
	return noOutput
}

// farewell says that the device is gone, as its Will would have.
func (a *Agent) farewell() {
	if a.link.up {
		a.publish(a.will(a.link.conn))
	}
}

// lamp is lit while the area sounds; to identify the device it blinks.
func (a *Agent) lamp(now area.Instant) {
	on := a.sounds()
	if now < a.blinks {
		on = a.blinks.Sub(now)/blink%2 == 0
	}
	if on == a.lampOn {
		return
	}
	a.lampOn = on
	err := a.Beacon.Lamp(on)
	if a.fault("lamp", err); err != nil {
		a.warnOnce("lamp", "lamp not switched", "err", err)
	}
}

// amp switches the amplifier. Each play switches it on anew: so a driver can tell
// one that nobody has switched off from one that is always in use.
func (a *Agent) amp(on bool) {
	if !on {
		a.ampOff = area.Never
	}
	if !on && !a.ampOn {
		return
	}
	a.ampOn = on
	err := a.Beacon.Amp(on)
	if a.fault("amplifier", err); err != nil {
		a.warnOnce("amp", "amplifier not switched", "err", err)
	}
}
