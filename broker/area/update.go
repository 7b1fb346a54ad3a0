package area

// Update is where the newest update of a device's program is, as it says in its
// [Status]. Version and Order are empty where there was none; Reason is for
// people.
type Update struct {
	State   string `json:"state"`   // one of the Update states
	Version string `json:"version"` // that it goes, or went, to
	Order   string `json:"order"`   // id of the rollout that asked for it
	Percent int    `json:"percent"` // of a download
	Reason  string `json:"reason"`  // why it failed, or was refused
	Slot    string `json:"slot"`    // that the device runs from: a, b, or empty for the installed program
}

// States of an update. The last three are ends.
const (
	UpdateIdle        = "idle"        // there was none
	UpdateDownloading = "downloading" // the program comes
	UpdateStaged      = "staged"      // it is there, and the device is about to start with it
	UpdateTrial       = "trial"       // it runs, and has not shown that it is well
	UpdateConfirmed   = "confirmed"   // it runs, and is well
	UpdateFailed      = "failed"      // the device runs what it ran before
	UpdateRefused     = "refused"     // the device did not begin
)

// UpdateOrder asks a device for an update, on its command topic of that name.
type UpdateOrder struct {
	Order          string `json:"order"`
	Version        string `json:"version"` // empty: what the hub has
	AllowDowngrade bool   `json:"allow_downgrade"`
}

// Encode writes o.
func (o UpdateOrder) Encode() []byte { return encode(o) }

// CommandTopic is where an operator commands a device.
func CommandTopic(d DeviceID, name string) string {
	return Root + "/device/" + string(d) + "/cmd/" + name
}
