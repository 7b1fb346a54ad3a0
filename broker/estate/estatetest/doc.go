// Package estatetest is the contract of what the nodes of a hub have in common of their
// sessions, see estate.Common.
package estatetest
