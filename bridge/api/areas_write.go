package api

import (
	"encoding/json"

	"github.com/tacet-hub/tacet/broker/area"
	"github.com/tacet-hub/tacet/broker/auth"
)

// areaWhole is the body of an area that is there. What the hub writes may stand
// in it and is ignored, so that what was read can be sent back.
type areaWhole struct {
	areaBody
	Source  json.RawMessage `json:"source"`
	Members json.RawMessage `json:"members"`
	Leader  json.RawMessage `json:"leader"`
	Peers   json.RawMessage `json:"peers"`
	Busy    json.RawMessage `json:"busy"`
	Queue   json.RawMessage `json:"queue"`
	Seq     json.RawMessage `json:"seq"`
}

func (a *API) putArea(c *call) (answer, error) {
	now, err := a.areaToWrite(c)
	if err != nil {
		return answer{}, err
	}
	b, err := c.body()
	if err != nil {
		return answer{}, err
	}
	return a.replaceArea(c, now, b)
}

func (a *API) patchArea(c *call) (answer, error) {
	now, err := a.areaToWrite(c)
	if err != nil {
		return answer{}, err
	}
	whole, err := c.patched(now)
	if err != nil {
		return answer{}, err
	}
	return a.replaceArea(c, now, whole)
}

// areaToWrite is the area that the path names, as the caller knows it.
func (a *API) areaToWrite(c *call) (area.Area, error) {
	x, err := a.area(c, auth.Operate)
	if err != nil {
		return x, err
	}
	return x, c.unchanged(x)
}

func (a *API) replaceArea(c *call, now area.Area, body []byte) (answer, error) {
	var b areaWhole
	if err := area.DecodeRequest(body, &b); err != nil {
		return answer{}, err
	}
	if b.ID != nil && *b.ID != string(now.ID) {
		return answer{}, area.InvalidField("id", "not the one of the path")
	}
	id := string(now.ID)
	b.ID = &id
	n, err := b.area()
	if err != nil {
		return answer{}, err
	}
	x, err := a.Areas.UpdateArea(c.Context(), n)
	if err != nil {
		return answer{}, err
	}
	return ok(x)
}
