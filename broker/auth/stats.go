package auth

import "sync/atomic"

// Stats are counts since the start, but for those that say "now".
type Stats struct {
	Principals int // configured and enrolled, now
	Tokens     int // API tokens, now
	Enrolments int // codes that wait for their device, now

	Passwords         int64 // right passwords and secrets
	Remembered        int64 // of them, those that needed no hashing
	WrongPasswords    int64 // wrong names, passwords and secrets
	Slowed            int64 // attempts refused unheard, since their source was wrong too often
	Busy              int64 // attempts refused since too many waited
	Bearers           int64 // JWTs and API tokens taken
	WrongBearers      int64 // and refused
	Certificates      int64 // client certificates that named a device
	WrongCertificates int64 // and that did not
	Redeemed          int64 // enrolment codes traded for a credential
	WrongCodes        int64 // and refused
	Revoked           int64 // principals that lost their rights
	KeyFetches        int64 // times that the keys of an issuer were fetched
	KeyFetchErrors    int64 // and could not be
	BadRecords        int64 // stored records that could not be read
}

type counters struct {
	passwords, remembered, wrongPasswords, slowed, busy                   atomic.Int64
	bearers, wrongBearers, certificates, wrongCertificates                atomic.Int64
	redeemed, wrongCodes, revoked, keyFetches, keyFetchErrors, badRecords atomic.Int64
}

// Stats answers the counts. They are read one by one, not at one instant.
func (a *Authority) Stats() Stats {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c := &a.count
	return Stats{
		Principals: len(a.by) - len(a.tokens), Tokens: len(a.tokens), Enrolments: len(a.pending),
		Passwords: c.passwords.Load(), Remembered: c.remembered.Load(), WrongPasswords: c.wrongPasswords.Load(),
		Slowed: c.slowed.Load(), Busy: c.busy.Load(), Bearers: c.bearers.Load(), WrongBearers: c.wrongBearers.Load(),
		Certificates: c.certificates.Load(), WrongCertificates: c.wrongCertificates.Load(),
		Redeemed: c.redeemed.Load(), WrongCodes: c.wrongCodes.Load(), Revoked: c.revoked.Load(),
		KeyFetches: c.keyFetches.Load(), KeyFetchErrors: c.keyFetchErrors.Load(), BadRecords: c.badRecords.Load(),
	}
}
