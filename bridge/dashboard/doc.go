// Package dashboard is the first screen: the built page of areas, announcements
// and sensors, and the handler that serves it from the program's own memory.
//
// The page is written in TypeScript under src and built into dist by
// `npm ci && npm run build`. The result is committed, so that the program
// builds without Node, and comes out the same, byte for byte, on every machine.
//
// The page asks for everything it shows: the hub /hubs/devices for what
// changes, REST for what was. All its addresses are relative, so it also works
// below a path of a proxy.
//
// Files below assets carry a hash of their content in their name and are kept
// by browsers for a year; index.html is asked for each time. Every file lies
// there twice, plain and compressed, and the client's Accept-Encoding decides.
// A strict content policy forbids script and style that are not files of this
// handler.
//
// Where the hub wants to know who looks, the page shows a form in its place and
// signs in at auth/login; the session is a cookie that no script can read. When
// the session ends the form is there again.
//
// There are no goroutines. The package does not authenticate: the page holds no
// data by itself, and everything that it asks for is refused to strangers.
package dashboard
