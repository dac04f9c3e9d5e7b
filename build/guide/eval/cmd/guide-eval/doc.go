// Command guide-eval asks a running server the guide model's held-out
// questions and recall conversations, prints what failed and why, and the two
// scores. See the README of build/guide/eval.
//
// It ends with 0 when both scores reach the goal, with 1 when one does not,
// and with 2 when it could not measure.
package main
