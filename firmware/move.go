package firmware

import (
	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/turn"
)

// elsewhere hears a refusal because the device is no member of the area in which
// it claimed. Where the hub says which one it is in, and nothing sounds, it
// moves. It tells whether that is all that was to be done: while something
// sounds the turn has to hear of it, and ends the sound; the refusal of its done
// is the next chance to move.
func (a *Agent) elsewhere(ans area.Answer) bool {
	if ans.Op != area.OpRefused || ans.Reason != area.ReasonNotMember || ans.MID != a.Memory.MID() || ans.Boot != a.turn.Boot() {
		return false
	}
	switch {
	case ans.Area == "":
		a.warnOnce(ans.Reason, "the hub does not have this device in the area where it claims", "area", a.area, "work", ans.Work)
		return false
	case ans.Area == a.area: // of a claim from before the move
		return true
	case a.leaving, a.play != nil, a.turn.Phase() == turn.Playing:
		return false
	}
	return a.move(ans.Area)
}

// move has the device claim in another area. That has an arbiter of its own, to
// which the device is new: the works of the old one are forgotten, and said
// anew to whoever is there.
func (a *Agent) move(to area.Name) bool {
	unlisten, err := a.listenIn(to)
	if err != nil {
		a.Log.Error("area not subscribed", "area", to, "err", err)
		return false
	}
	a.Log.Info("the hub has this device in another area, claiming there", "area", to, "n", len(a.queue))
	a.unlisten()
	a.unlisten, a.area, a.busy = unlisten, to, nil
	clear(a.offers)
	for _, i := range a.queue {
		i.giveUp()
	}
	a.queue, a.current = nil, nil
	a.turn = a.newTurn(to, a.turn.Boot())
	a.ballot = turn.NewBallot(a.Memory.MID(), a.now())
	if a.link.up {
		a.step(turn.Up{})
	}
	return true
}
