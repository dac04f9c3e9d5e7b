package login

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"

	"howett.net/plist"
)

// Label is the LaunchAgent's, and the bundle's id.
const Label = "io.samovar.Samovar"

// agent is a LaunchAgent. launchd.plist(5) has the keys.
type agent struct{ Options }

type agentFile struct {
	Label            string   `plist:"Label"`
	ProgramArguments []string `plist:"ProgramArguments"`
	RunAtLoad        bool     `plist:"RunAtLoad"`
	Disabled         bool     `plist:"Disabled,omitempty"`
	// SessionType keeps it out of logins without a screen.
	SessionType string `plist:"LimitLoadToSessionType,omitempty"`
	// ProcessType keeps the system from slowing it down as a background task.
	ProcessType string `plist:"ProcessType,omitempty"`
}

func (a agent) path() string {
	return filepath.Join(a.Home, "Library", "LaunchAgents", Label+".plist")
}

func (a agent) render() ([]byte, error) {
	raw, err := plist.MarshalIndent(agentFile{Label: Label, ProgramArguments: a.Program, RunAtLoad: true, SessionType: "Aqua", ProcessType: "Interactive"}, plist.XMLFormat, "\t")
	if err != nil {
		return nil, err
	}
	return append(raw, '\n'), nil
}

func (a agent) on(raw []byte) (bool, error) {
	var f agentFile
	if _, err := plist.Unmarshal(raw, &f); err != nil {
		return false, fmt.Errorf("it is no property list: %w", err)
	}
	return f.RunAtLoad && !f.Disabled && len(f.ProgramArguments) > 0, nil
}

// written takes back what `launchctl disable` may have noted: that is stronger than the
// file.
func (a agent) written(ctx context.Context) error {
	if err := a.Run(ctx, "launchctl", "enable", "gui/"+strconv.Itoa(a.UID)+"/"+Label); err != nil {
		return fmt.Errorf("launchd may not start Samovar at login: %w", err)
	}
	return nil
}
