package screen

import (
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

// What AT-SPI calls things.
const (
	accessible = "org.a11y.atspi.Accessible"
	action     = "org.a11y.atspi.Action"
	registry   = "org.a11y.atspi.Registry"
	root       = "/org/a11y/atspi/accessible/root"
)

// Reader hears what is on a screen, and presses buttons.
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
	// What the bus starts lives on this screen, too.
	require.NoError(s.t, session.BusObject().Call("org.freedesktop.DBus.UpdateActivationEnvironment", 0, s.Env()).Err)
	bus := session.Object("org.a11y.Bus", "/org/a11y/bus")
	var address string
	require.NoError(s.t, bus.Call("org.a11y.Bus.GetAddress", 0).Store(&address), "the Debian package at-spi2-core has it")
	// Toolkits take the trouble only then.
	require.NoError(s.t, bus.SetProperty("org.a11y.Status.IsEnabled", dbus.MakeVariant(true)))
	conn, err := dbus.Connect(address)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { conn.Close() })
	return &Reader{s, conn}
}

// walk visits everything below a thing, until visit returns false. Things go while it
// walks; what doesn't answer any more has no name and no children.
func (r *Reader) walk(at thing, visit func(o dbus.BusObject, name string) bool) bool {
	o := r.conn.Object(at.Bus, at.Path)
	var name string
	if v, err := o.GetProperty(accessible + ".Name"); err == nil {
		name, _ = v.Value().(string)
	}
	if !visit(o, name) {
		return false
	}
	for _, c := range children(o) {
		if !r.walk(c, visit) {
			return false
		}
	}
	return true
}

func children(o dbus.BusObject) (all []thing) {
	if o.Call(accessible+".GetChildren", 0).Store(&all) != nil || len(all) > 0 {
		return all
	}
	// A web page is plugged into its window, which tells so only if asked in this way.
	var plug thing
	if o.Call(accessible+".GetChildAtIndex", 0, int32(0)).Store(&plug) == nil && !strings.HasSuffix(string(plug.Path), "/null") {
		all = append(all, plug)
	}
	return all
}

func (r *Reader) all(visit func(o dbus.BusObject, name string) bool) {
	r.walk(thing{registry, root}, visit)
}

// Names are those of everything that has one.
func (r *Reader) Names() (all []string) {
	r.all(func(_ dbus.BusObject, name string) bool {
		if name = strings.TrimSpace(strings.ReplaceAll(name, "\ufffc", "")); name != "" {
			all = append(all, name)
		}
		return true
	})
	return all
}

// Await waits until there is something of a name.
func (r *Reader) Await(name string) {
	r.s.t.Helper()
	r.s.await("the screen has "+name, func() bool { return slices.Contains(r.Names(), name) })
}

// Press presses what has that name, once it is there.
func (r *Reader) Press(name string) {
	r.s.t.Helper()
	r.press(func(n string) bool { return n == name }, name)
}

// PressPrefix presses the first thing whose name begins so.
func (r *Reader) PressPrefix(prefix string) {
	r.s.t.Helper()
	r.press(func(n string) bool { return strings.HasPrefix(n, prefix) }, prefix+"…")
}

// Focus moves the keys to what has that name.
func (r *Reader) Focus(name string) {
	r.s.t.Helper()
	r.s.await("something to type into: "+name, func() (done bool) {
		r.all(func(o dbus.BusObject, n string) bool {
			return strings.TrimSpace(n) != name || o.Call("org.a11y.atspi.Component.GrabFocus", 0).Store(&done) != nil || !done
		})
		return done
	})
}

func (r *Reader) press(is func(name string) bool, what string) {
	r.s.t.Helper()
	r.s.await("something to press: "+what, func() (done bool) {
		r.all(func(o dbus.BusObject, n string) bool {
			var can []string
			if !is(strings.TrimSpace(n)) || o.Call(accessible+".GetInterfaces", 0).Store(&can) != nil || !slices.Contains(can, action) {
				return true
			}
			return o.Call(action+".DoAction", 0, int32(0)).Store(&done) != nil || !done
		})
		return done
	})
}
