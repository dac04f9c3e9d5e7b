package jsonreq

// Agent returns the first text among values that may name who asks. What is of
// another type names nobody.
func Agent(values ...Value) string {
	for _, v := range values {
		if v.IsString() && v.String() != "" {
			return v.String()
		}
	}
	return ""
}
