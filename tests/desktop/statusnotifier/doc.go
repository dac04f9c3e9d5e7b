// Package statusnotifier is the panel that the tests of the menu bar need: a session bus
// of its own, and a host that takes status items as a desktop's panel does, reads what
// they show and clicks in their menus. It knows the protocols (StatusNotifierItem and
// com.canonical.dbusmenu) and nothing of Samovar.
package statusnotifier
