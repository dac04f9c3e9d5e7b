// Package login is whether Samovar starts when its user logs in: a LaunchAgent on macOS,
// an autostart entry of the desktop on Linux.
//
// The file in its place is the only truth: it is read whenever somebody asks, since its
// user may have changed it, or the desktop's own settings have. Nothing is started or
// ended by a change. On macOS launchd is therefore not told to load the agent, which would
// start a second Samovar, nor to unload it, which would end the one that it started: it
// reads the folder at the next login.
package login
