// Package resident decides which models are in memory: who has to leave so that another
// one fits, who has been idle for too long, and whom one waits for.
//
// Plan is pure: what there is and the time go in, what to do comes out. Whoever carries
// it out asks again when something has changed, or when Plan wants to be asked.
package resident
