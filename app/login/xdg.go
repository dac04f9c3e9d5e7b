package login

import (
	"context"
	"path/filepath"
	"strings"
)

// autostart is an entry of the XDG Desktop Application Autostart specification; the
// Desktop Entry specification has the keys and the quoting.
type autostart struct{ Options }

func (a autostart) path() string {
	return filepath.Join(a.ConfigHome, "autostart", "samovar.desktop")
}

func (a autostart) render() ([]byte, error) {
	lines := []string{
		"[Desktop Entry]",
		"Type=Application",
		"Name=Samovar",
		"Comment=Serves local models to agents",
		"Exec=" + execLine(a.Program),
		"Icon=samovar",
		"Terminal=false",
		"StartupNotify=false",
		"X-GNOME-Autostart-enabled=true",
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// execLine quotes arguments, each as a whole. What the specification's shell-like quoting
// gives is escaped once more, as a value of the key; a percent sign would be a field code.
func execLine(program []string) string {
	quote := strings.NewReplacer(`"`, `\"`, "`", "\\`", `$`, `\$`, `\`, `\\`, `%`, `%%`)
	value := strings.NewReplacer(`\`, `\\`)
	var args []string
	if strings.Contains(program[0], "%") {
		args = []string{"env"} // GLib looks for the program before it makes one percent sign of two
	}
	for _, arg := range program {
		args = append(args, value.Replace(`"`+quote.Replace(arg)+`"`))
	}
	return strings.Join(args, " ")
}

// on reads what desktops and their settings go by.
func (a autostart) on(raw []byte) (bool, error) {
	keys, inside := map[string]string{}, false
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inside = line == "[Desktop Entry]"
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if inside && ok && !strings.HasPrefix(line, "#") {
			keys[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return keys["Exec"] != "" && keys["Hidden"] != "true" && keys["X-GNOME-Autostart-enabled"] != "false", nil
}

func (a autostart) written(context.Context) error { return nil }
