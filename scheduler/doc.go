// Package scheduler turns schedules into orders: when a rule comes due it hands
// its work to the order service.
//
// # Concepts
//
// A schedule is a rule (cron, every or once; package rule) and an order's
// request. Each instant of a rule is one firing, and a firing makes one order;
// where the work goes to each of the locations, one for every location of the
// roster in the order of their ids, but none for a location whose order of an
// earlier firing has not ended.
//
// Schedules come from the configuration or from callers. One of the
// configuration cannot be changed or deleted, except by [Service.Reload].
//
// A firing that was missed is not made up for: announcements of an hour ago are
// wrong now. A firing counts as missed once it is later than [Config.Grace],
// because the hub was down, asleep, or its clock was set forward; of several
// that are due at once the newest is made. What was missed is logged and
// counted. Where the clock is set back by more than ten minutes, rules are
// reckoned anew from the new time; after a smaller step nothing is said twice.
//
// A clock that nobody has set yet ([Config.NotBefore]) makes nothing due: a machine
// that has no clock of its own starts in the past.
//
// Orders are made with a key of schedule and instant, so that the order service
// takes each once even if it is handed over twice.
//
// # Goroutines
//
// One, of the caller of [Service.Run]; it ends with the context. Calls of other
// methods only wake it.
//
// # What it does not do
//
// It does not keep orders, does not retry a refused one (the next firing is the
// next try), and knows no holidays.
package scheduler
