// Package settings reads configurations into the structs of those who have them: a
// YAML file, and the environment over it. Beside package conf, which is that of
// tacet, and deviced, which is that of tacet-device, nobody reads them.
//
// # Concepts
//
// A configuration is a plain struct whose fields carry yaml (or json) tags; it
// is filled with its defaults first. [LoadYAML] lays a file over it,
// [OverlayEnv] the environment: the variable of a key is a prefix and the key's
// path in capitals, joined by "_" (http.admin_addr is TACET_HTTP_ADMIN_ADDR).
// Lists replace, they never merge. A key that the struct does not know is
// refused with its file, its line and the nearest known key.
//
// [Faults] is the error of all of them: everything that is wrong at once, each
// with where it was written, which [Origins] remembers for later checks.
//
// Secrets are not in a configuration: it names the files that hold them, and
// [Secret] reads one.
//
// # What it does not do
//
// It knows no configuration, so that each program has only its own. It keeps nothing
// and watches nothing.
package settings
