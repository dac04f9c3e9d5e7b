package statusnotifier

import (
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"github.com/stretchr/testify/require"
)

// Item is somebody's place in the panel.
type Item struct {
	host   *Host
	sender string
	path   dbus.ObjectPath
	icons  chan dbus.Variant
}

// Icon is a picture: its size, and four bytes for each pixel (alpha, red, green, blue,
// multiplied by alpha).
type Icon struct {
	Width, Height int32
	Pixels        []byte
}

// Entry is a line of a menu.
type Entry struct {
	ID    int32
	Label string
	// Enabled entries can be clicked; Visible ones be seen.
	Enabled, Visible bool
	Separator        bool
	// Mark says that there is room for a tick, Ticked that there is one.
	Mark, Ticked bool
	Children     []Entry
}

// watch collects the icons that the item shows from now on.
func (i *Item) watch(t testing.TB) {
	conn, err := i.host.bus.connect()
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // its bus may be gone
	require.NoError(t, conn.AddMatchSignal(dbus.WithMatchSender(i.sender), dbus.WithMatchObjectPath(i.path),
		dbus.WithMatchInterface("org.freedesktop.DBus.Properties"), dbus.WithMatchMember("PropertiesChanged")))
	signals := make(chan *dbus.Signal, 256)
	conn.Signal(signals)
	go func() {
		for s := range signals {
			if len(s.Body) < 2 {
				continue
			}
			if changed, ok := s.Body[1].(map[string]dbus.Variant); ok {
				if v, ok := changed["IconPixmap"]; ok {
					select {
					case i.icons <- v:
					default: // nobody counts so many
					}
				}
			}
		}
	}()
}

// Shown returns the icons that were shown since the last call, the oldest first.
func (i *Item) Shown(t testing.TB) (all []Icon) {
	t.Helper()
	for {
		select {
		case v := <-i.icons:
			all = append(all, iconOf(t, v))
		default:
			return all
		}
	}
}

func (i *Item) object() dbus.BusObject { return i.host.conn.Object(i.sender, i.path) }

func (i *Item) property(t testing.TB, name string) dbus.Variant {
	t.Helper()
	v, err := i.object().GetProperty(itemFace + "." + name)
	require.NoError(t, err, name)
	return v
}

// Title is the item's name, and what it says beside it.
func (i *Item) Title(t testing.TB) string {
	t.Helper()
	return i.property(t, "Title").Value().(string)
}

// Tooltip is what it says under the pointer.
func (i *Item) Tooltip(t testing.TB) string {
	t.Helper()
	var tip struct {
		Name  string
		Icons []struct {
			W, H   int32
			Pixels []byte
		}
		Title, Text string
	}
	require.NoError(t, i.property(t, "ToolTip").Store(&tip))
	return tip.Title
}

// Icon is the picture.
func (i *Item) Icon(t testing.TB) Icon {
	t.Helper()
	return iconOf(t, i.property(t, "IconPixmap"))
}

func iconOf(t testing.TB, v dbus.Variant) Icon {
	t.Helper()
	var icons []Icon
	require.NoError(t, v.Store(&icons))
	require.Len(t, icons, 1)
	return icons[0]
}

func (i *Item) menu(t testing.TB) dbus.BusObject {
	t.Helper()
	return i.host.conn.Object(i.sender, i.property(t, "Menu").Value().(dbus.ObjectPath))
}

// layout is a line of a menu on the wire.
type layout struct {
	ID         int32
	Properties map[string]dbus.Variant
	Children   []dbus.Variant
}

// Menu reads the whole menu.
func (i *Item) Menu(t testing.TB) []Entry {
	t.Helper()
	entries, err := i.readMenu(t)
	require.NoError(t, err)
	return entries
}

func (i *Item) readMenu(t testing.TB) ([]Entry, error) {
	menu := i.menu(t)
	var revision uint32
	var root layout
	// The first answer in an item's life may have the first level only.
	for range 2 {
		if err := menu.Call(menuFace+".GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
			return nil, failed("reading the menu", err)
		}
	}
	return entriesOf(root.Children)
}

func entriesOf(children []dbus.Variant) (all []Entry, err error) {
	for _, c := range children {
		var l layout
		if err := dbus.Store([]any{c.Value()}, &l); err != nil {
			return nil, failed("a line of the menu", err)
		}
		e := Entry{ID: l.ID, Enabled: yes(l.Properties, "enabled"), Visible: yes(l.Properties, "visible")}
		e.Separator = text(l.Properties, "type") == "separator"
		// A single underscore marks an access key; two are one.
		const kept = "\x00"
		label := strings.ReplaceAll(text(l.Properties, "label"), "__", kept)
		e.Label = strings.ReplaceAll(strings.ReplaceAll(label, "_", ""), kept, "_")
		e.Mark = text(l.Properties, "toggle-type") == "checkmark"
		if v, ok := l.Properties["toggle-state"]; ok {
			e.Ticked = e.Mark && v.Value() == int32(1)
		}
		if e.Children, err = entriesOf(l.Children); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// yes reads a property that is true unless it says otherwise.
func yes(properties map[string]dbus.Variant, name string) bool {
	v, ok := properties[name]
	return !ok || v.Value() != false
}

func text(properties map[string]dbus.Variant, name string) string {
	s, _ := properties[name].Value().(string)
	return s
}

// Click clicks an entry.
func (i *Item) Click(t testing.TB, e Entry) {
	t.Helper()
	require.True(t, e.Enabled && e.Visible, "%q cannot be clicked", e.Label)
	require.NoError(t, i.menu(t).Call(menuFace+".Event", 0, e.ID, "clicked", dbus.MakeVariant(int32(0)), uint32(0)).Err)
}

// Find returns the first visible entry whose label begins with that, in submenus, too.
func Find(entries []Entry, prefix string) (Entry, bool) {
	for _, e := range entries {
		if !e.Visible || e.Separator {
			continue
		}
		if strings.HasPrefix(e.Label, prefix) {
			return e, true
		}
		if in, ok := Find(e.Children, prefix); ok {
			return in, true
		}
	}
	return Entry{}, false
}

// Same says whether two icons are the same picture.
func (i Icon) Same(o Icon) bool {
	return i.Width == o.Width && i.Height == o.Height && slices.Equal(i.Pixels, o.Pixels)
}
