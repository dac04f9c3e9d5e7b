package screen

import (
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

// What AT-SPI calls things.
const (
	accessible = "org.a11y.atspi.Accessible"
	registry   = "org.a11y.atspi.Registry"
	root       = "/org/a11y/atspi/accessible/root"
)

// Reader hears what is on a screen.
type Reader struct {
	s    *Screen
	conn *dbus.Conn
}

// thing is what can be heard: a node of some process's tree.
type thing struct {
	Bus  string
	Path dbus.ObjectPath
}

// Reader begins to listen. It must be there before what it is to hear.
func (s *Screen) Reader() *Reader {
	s.t.Helper()
	session, err := dbus.Connect(s.Bus.Address)
	require.NoError(s.t, err)
	defer session.Close()
	var address string
	require.NoError(s.t, session.Object("org.a11y.Bus", "/org/a11y/bus").Call("org.a11y.Bus.GetAddress", 0).Store(&address), "the Debian package at-spi2-core has it")
	conn, err := dbus.Connect(address)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	return &Reader{s, conn}
}

// walk visits everything below a thing, until visit returns false.
func (r *Reader) walk(at thing, depth int, visit func(at thing, name, role string) bool) bool {
	o := r.conn.Object(at.Bus, at.Path)
	name, _ := o.GetProperty(accessible + ".Name") // what is just going has none
	text, _ := name.Value().(string)
	var role string
	_ = o.Call(accessible+".GetRoleName", 0).Store(&role)
	if text == "" {
		_ = o.Call("org.a11y.atspi.Text.GetText", 0, int32(0), int32(-1)).Store(&text)
	}
	if !visit(at, text, role) {
		return false
	}
	var children []thing
	if depth == 0 || o.Call(accessible+".GetChildren", 0).Store(&children) != nil {
		return true
	}
	for _, c := range children {
		if !r.walk(c, depth-1, visit) {
			return false
		}
	}
	return true
}

func (r *Reader) all(visit func(at thing, name, role string) bool) {
	r.walk(thing{registry, root}, 60, visit)
}

// Text is everything that is to be heard, a line for each thing.
func (r *Reader) Text() string {
	var all strings.Builder
	r.all(func(_ thing, name, role string) bool {
		if name = strings.TrimSpace(strings.ReplaceAll(name, "\ufffc", "")); name != "" {
			all.WriteString(role + ": " + name + "\n")
		}
		return true
	})
	return all.String()
}

// Await waits until a text is to be heard.
func (r *Reader) Await(text string) {
	r.s.t.Helper()
	r.s.await("the screen says "+text, func() bool { return strings.Contains(r.Text(), text) })
}

// Press presses what has that role and name, once it is there.
func (r *Reader) Press(role, name string) {
	r.s.t.Helper()
	r.s.await("something pressed: "+name, func() bool {
		var done bool
		r.all(func(at thing, n, ro string) bool {
			if ro != role || strings.TrimSpace(n) != name {
				return true
			}
			_ = r.conn.Object(at.Bus, at.Path).Call("org.a11y.atspi.Action.DoAction", 0, int32(0)).Store(&done)
			return false
		})
		return done
	})
}
