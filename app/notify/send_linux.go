package notify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

const (
	busName = "org.freedesktop.Notifications"
	busPath = "/org/freedesktop/Notifications"
	// asLongAsUsual leaves it to the desktop how long a note is shown.
	asLongAsUsual = int32(-1)
)

// markup keeps text from being read as such. GNOME shows entities by number, which quotes
// would be otherwise, as they are written.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// bus shows notes through the desktop's notification server. It is connected from the
// first note on: some desktops take back the notes of programs that have left.
type bus struct {
	conn  *dbus.Conn
	shown map[Kind]uint32
}

// NewSender returns what shows notes on this system, or nil if there is nothing.
func NewSender(Options) Sender { return &bus{shown: map[Kind]uint32{}} }

func (b *bus) connect() error {
	if b.conn != nil && b.conn.Connected() {
		return nil
	}
	// Without launching a bus of our own, where nobody would look.
	conn, err := dbus.SessionBusPrivateNoAutoStartup()
	if err != nil {
		return err
	}
	if err = conn.Auth(nil); err == nil {
		err = conn.Hello()
	}
	if err != nil {
		conn.Close()
		return err
	}
	b.conn, b.shown = conn, map[Kind]uint32{}
	return nil
}

// Send implements Sender.
func (b *bus) Send(ctx context.Context, n Note) error {
	if err := b.send(ctx, n); err != nil {
		return fmt.Errorf("cannot show a notification: %w", err)
	}
	return nil
}

func (b *bus) send(ctx context.Context, n Note) error {
	if err := b.connect(); err != nil {
		return err
	}
	server := b.conn.Object(busName, busPath)
	var can []string
	if err := server.CallWithContext(ctx, busName+".GetCapabilities", 0).Store(&can); err != nil {
		return err
	}
	body := n.Body
	if slices.Contains(can, "body-markup") {
		body = markup.Replace(body)
	} else if !slices.Contains(can, "body") {
		body = ""
	}
	hints := map[string]dbus.Variant{
		"desktop-entry": dbus.MakeVariant(strings.ToLower(appName)),
		"urgency":       dbus.MakeVariant(byte(1)),
	}
	// A later note of the same kind takes the place of the one before, but each download
	// has its own.
	replaces := b.shown[n.Kind]
	if n.Kind == Downloaded {
		replaces = 0
	}
	var id uint32
	err := server.CallWithContext(ctx, busName+".Notify", 0, appName, replaces, strings.ToLower(appName), n.Title, body, []string{}, hints, asLongAsUsual).Store(&id)
	if err == nil {
		b.shown[n.Kind] = id
	}
	return err
}

// Close implements Sender.
func (b *bus) Close() error {
	if b.conn == nil {
		return nil
	}
	return b.conn.Close()
}
