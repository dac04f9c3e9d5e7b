// Package ui tests the dashboard in a real browser: the built page, served by the real
// binary with the real engine under real traffic. The page's own tests are run, too.
//
// The scripts are in frontend/tests; `make browser` installs what they need.
package ui
