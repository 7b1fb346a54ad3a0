package signalr

// Dismiss ends the connection as [Conn.Close] does, but the client is told to come
// back: what it joined and was shown, it joins and is shown anew.
func (c *Conn) Dismiss() { c.dismiss(ErrClosed, "", true) }
