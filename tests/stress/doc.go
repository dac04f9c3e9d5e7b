// Package stress puts the real executables, with the real engine and the guide,
// under every scenario of `samovar bench stress`, and holds them to the same
// limits. It is where a change that sheds without saying when to come back,
// leaks a sequence or stalls /health/live is caught.
//
// By default everything is small and times get slack, as samovar is built with
// the race detector and shares the machine. Variables change that:
//
//	SAMOVAR_STRESS=full     the full scenarios, the ten minutes included, without
//	                        the race detector and without slack
//	SAMOVAR_STRESS=soak     the hour
//	SAMOVAR_STRESS_URL=URL  that server instead of one of ours
//	SAMOVAR_STRESS_API=anthropic
//	                        that surface only, instead of both in turns
//	SAMOVAR_STRESS_HTML=FILE
//	                        leaves the report there
//
// The full scenarios take half an hour: go test -timeout 2h -count 1 ./tests/stress
package stress
