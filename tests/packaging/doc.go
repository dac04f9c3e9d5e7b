// Package packaging tests the app as people get it: put together by build/bundle,
// moved somewhere, and started there with nothing told about where its parts are.
// What a part does is tested elsewhere; here is only that they find each other.
//
// The executables are the headless ones, so that no display is needed. The menu
// bar and the window of the real ones are tests/desktop's.
package packaging
