package listen

import (
	"strconv"
	"strings"
)

// lsofArgs asks for the listener on a port: numeric, fields p (pid) and c (command).
func lsofArgs(port int) []string {
	return []string{"-nP", "-iTCP:" + strconv.Itoa(port), "-sTCP:LISTEN", "-Fpc"}
}

// parseLsof reads the field output of lsof, one field a line, and returns the
// first process in it.
func parseLsof(out string) Owner {
	var o Owner
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		switch field, value := line[0], line[1:]; field {
		case 'p':
			if o.PID > 0 {
				return o
			}
			o.PID, _ = strconv.Atoi(value)
		case 'c':
			o.Name = value
		}
	}
	return o
}
