// Package api serves REST under /api/v1, described by openapi.yaml, which it
// serves too. The contract comes first: a route that is not in the file is not
// served, and the tests hold both against each other.
//
// # Concepts
//
// One file per resource. A resource reads the request, asks one of the
// interfaces of interfaces.go, and answers an object, a page or an error; what
// is common to all (bodies, pages, entity tags, problem documents, DESIGN.md
// §3.6, REST) is in the files that the request passes: serve.go, request.go,
// page.go, problem.go.
//
// Readers get an ETag, the hash of the answer, and 304 for If-None-Match.
// Writers may give it as If-Match: a stale one is refused with
// version_conflict. Lists are sorted by their key, orders by their age, and are
// cut by limit and after.
//
// # Limits
//
// A body has at most 1 MiB and is application/json; that of a clip is the sound
// file, which goes to the store as it comes. What is not kept here:
// headers, slow readers, rates and origins are for the web server that this is
// mounted in.
//
// # Rights
//
// [Config.Who] says who asks. Each route names the action that he must have the
// right to, somewhere ([auth.Principal.May]); the verb then looks where its
// object is. A list has what the caller may read. An object of the caller's own
// tenant without the right is forbidden. Areas, devices, orders, schedules and
// topics are those of the tenant "default" as yet: who is of another tenant has
// empty lists, and finds nothing; tokens, enrolments and groups are of the
// caller's tenant.
//
// What changes who may do what is logged, once, from where, about whom and by
// whom; no secret ever.
//
// # MQTT
//
// [Desk] answers the same requests over MQTT: tacet/request/{resource}/{verb} is
// one request of REST, on behalf of who published it, and its answer is published
// on tacet/response/{transaction}, or where MQTT 5 says. What a request makes secret
// (tokens, enrolments) is not told there.
//
// # Goroutines
//
// The API has none. Desk.Run has four workers, which end with its context; the
// requests of one client go to one of them, so they are answered in order.
//
// # What it does not do
//
// It does not find out who asks.
package api
