// Package reigntest is the contract of reign.Store, run against every ledger.
package reigntest
