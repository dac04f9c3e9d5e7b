// Package clients runs real clients against the real thing: the SDKs that
// agents are built on, each as published, against a started samovar with its
// worker and the built-in guide, over loopback.
//
// A client is a script in scripts/ with assertions of its own (node:test); the
// Go side starts the servers, runs each script as a subtest and shows what it
// wrote when it fails. package-lock.json pins every client; `npm ci` installs
// them, without their scripts, when node_modules is missing or not of this lock
// file. curl needs no script: its commands are read from the README.
//
// What belongs here is what only a client can show: that its types, helpers,
// error classes, retries and aborts do what its documentation says. Statuses,
// bodies and event streams as such are the business of package server's tests,
// the executables' lives that of tests/e2e.
package clients
