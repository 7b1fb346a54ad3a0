// Package share gives the clips that a device has to its neighbours, and asks
// them for theirs: so that a clip comes from the hub once, and not to each device
// of an area.
//
// # Concepts
//
// The neighbours are the other members of the area's roster document
// ([area.Peers]), each with the address that it has told. They know each other by
// the key of the area: a request carries an HMAC of who asks for what, with a
// number that the asked one has made up a minute ago at most. Nobody else gets an
// answer but 401. What is sent is not encrypted: it is sound that the area hears
// anyway. What comes is believed by its hash alone, which package fetch looks at.
//
//	HEAD /clips/{sha256}    200: it is here; 202: it is on its way here; 404
//	GET  /clips/{sha256}    the bytes, from Range on; 404; 503: too many at a time
//
// A [Server] answers, a [Client] asks; it is the Near of package fetch.
//
// # Bounds
//
// A server has [Config.Conns] connections, gives [Config.AtOnce] clips at a time
// and [Config.Rate] bytes a second in all, and answers 50 requests a second; who
// comes beyond that is closed, or told 503. A client asks eight neighbours at a
// time, each for a second at most, and leaves one that nobody listens at alone
// for ten seconds.
//
// # Goroutines
//
// [Server.Run] starts one for each connection, and waits for
// the end of all. [Client.Ask] starts one for each neighbour, and waits for them.
//
// # What it does not do
//
// It fetches nothing from a hub and keeps nothing: package fetch does.
package share
