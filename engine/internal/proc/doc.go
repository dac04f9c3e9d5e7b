// Package proc runs the worker as a child process: pipes for frames, the end of
// its output kept for reports, and an end that always comes.
//
// The child gets its frames on standard input and answers on descriptor 3;
// standard output and error are captured, since native libraries print there.
// The parent holds the other end of the child's input, so that the child
// notices the parent's death as the end of a file, however it died.
//
// It knows nothing of what the frames say, and nothing of restarts: that is the
// supervisor's (package engine).
package proc
