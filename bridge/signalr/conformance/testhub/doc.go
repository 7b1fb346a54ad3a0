// Package testhub is the hub that the functional tests of the vendor's clients
// talk to, and more of the kind: a whole site of hubs and endpoints that shows
// what a client must be able to rely on.
//
// # Concepts
//
// A [Site] has the hubs /testhub, /testhub-nowebsockets, /authorizedhub and
// /uncreatable, and beside them endpoints that are no hubs: /echo gives back
// bytes over all three transports without the hub protocol, /redirect and
// /echoredirect send clients elsewhere, /bad-negotiate refuses, /generateJwtToken
// gives a token for /authorizedhub, /clientresult/{id} asks a client.
//
// Everything allows every origin, and errors show their details: the site is for
// tests and must not be reachable by others.
//
// # Goroutines
//
// [Site.Run] runs the hubs and waits for them. An echo over WebSockets or
// server-sent events lives in its request; one over long polling has a goroutine
// that Run waits for.
package testhub
