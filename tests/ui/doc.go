// Package ui tests the dashboard in a real browser: the built page, served by the real
// binary with the real engine under real traffic. The page's own tests are run, too.
//
// The scripts are in frontend/tests; `make browser` installs what they need. TestPages
// leaves pictures of every page in both themes and three sizes, taken while requests run
// and wait, in frontend/test-output/screenshots, which git ignores: whoever changes a page
// looks at them.
//
// TestSoak sends the page an hour of a busy server's events as quickly as it takes them,
// and wants it to hold no more at the end than early on. The same in real time, under real
// traffic, with a line twice a minute about memory and frames:
//
//	SAMOVAR_SOAK=1h go test ./tests/ui -run TestSoak -timeout 2h -v
//
// What the open page takes from the engine, by the tokens that do not come while it is
// drawn, is measured against a server that is built as users have it:
//
//	samovar serve --shape 0.5b
//	cd frontend && SAMOVAR_BASE=http://127.0.0.1:7266 SAMOVAR_EFFECT=5m npm run test:effect
//
// On a quiet machine SAMOVAR_STRICT=1 wants 55 frames in a second, too, and of TestNumbers
// that all times are the client's own, which is then asked of what users have, built without
// the race detector; and of the page that it takes one percent at most.
package ui
