package app

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"samovar/engine"
)

// versionInfo is what `samovar version --json` prints.
type versionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func printVersion(w io.Writer, asJSON bool) error {
	v := thisVersion()
	if asJSON {
		return json.NewEncoder(w).Encode(v)
	}
	_, err := fmt.Fprintf(w, "samovar %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
	return err
}

func thisVersion() versionInfo {
	return versionInfo{Version: engine.BuildVersion(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
}
