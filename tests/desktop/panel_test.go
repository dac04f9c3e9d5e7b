package desktop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/tests/desktop/screen"
)

// thePanel is Xfce's own, with nothing in it but status items, along the upper edge.
const thePanel = `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
  <property name="configver" type="int" value="2"/>
  <property name="panels" type="array">
    <value type="int" value="1"/>
    <property name="panel-1" type="empty">
      <property name="position" type="string" value="p=6;x=0;y=0"/>
      <property name="position-locked" type="bool" value="true"/>
      <property name="length" type="uint" value="100"/>
      <property name="size" type="uint" value="32"/>
      <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
    </property>
  </property>
  <property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray"/></property>
</channel>
`

const (
	xfconfd = "xfce4/xfconf/xfconfd" // below the folder of the system's libraries
	// middle is where the first status item is, in a panel of that size.
	middle = 16
)

// startPanel opens the panel of a Debian desktop.
func startPanel(t *testing.T, s *screen.Screen) {
	t.Helper()
	daemons, err := filepath.Glob("/usr/lib/*/" + xfconfd)
	require.NoError(t, err)
	if _, err := exec.LookPath("xfce4-panel"); err != nil || len(daemons) == 0 {
		t.Skip("there is no panel to be shown in: the Debian packages xfce4-panel and xfconf have one")
	}
	settings := t.TempDir()
	file := filepath.Join(settings, "xfce4", "xfconf", "xfce-perchannel-xml", "xfce4-panel.xml")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte(thePanel), 0o600))
	// The bus would start the daemon with the settings of whoever runs the tests.
	for _, cmd := range []*exec.Cmd{s.Command(daemons[0]), s.Command("xfce4-panel", "--disable-wm-check")} {
		cmd.Env = append(cmd.Env, "XDG_CONFIG_HOME="+settings, "XDG_CACHE_HOME="+settings)
		s.Run(cmd)
	}
}

// TestARealPanel: the protocol is one thing, and what a desktop makes of it another. The
// icon is there, the menu opens, and its last item quits.
func TestARealPanel(t *testing.T) {
	s := screen.Start(t)
	startPanel(t, s)
	a := launch(t, s.Bus, setup{home: knowing(t, t.TempDir()), env: s.Env()})
	a.awaitReady()
	s.Await("an icon in the panel", func() bool { return s.Colours(0, 0, 2*middle, 2*middle) > 4 })
	nothing := s.Pixel(5*middle, 4*middle)
	s.RightClick(middle, middle)
	s.Await("the menu", func() bool { return s.Pixel(5*middle, 4*middle) != nothing })
	s.Picture(pictures, "panel-menu")
	s.Keys("Up", "Return")
	require.Zero(t, a.ends())
}
