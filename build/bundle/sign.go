package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// adHoc is the identity of a signature without a certificate: good for the
// machine that made it, and for others after the user has allowed it.
const adHoc = "-"

// signing lists the commands that sign a written Samovar.app, in order: what is
// inside first, since the app's own signature is over the signatures of the
// rest. codesign's --deep would give them all the same entitlements, and Apple
// advises against it.
//
// The runtime is hardened for an ad hoc signature, too, so that what works here
// works when it is notarised.
func (p plan) signing(app, rights, identity string) [][]string {
	stamp := "--timestamp"
	if identity == adHoc {
		stamp = "--timestamp=none" // there is nobody to vouch for the time
	}
	sign := func(path string, more ...string) []string {
		cmd := []string{"codesign", "--force", "--sign", identity, "--options", "runtime", stamp}
		return append(append(cmd, more...), path)
	}
	var commands [][]string
	for _, e := range p.entries {
		if e.kind == library {
			commands = append(commands, sign(filepath.Join(app, filepath.FromSlash(e.path))))
		}
	}
	return append(commands,
		sign(filepath.Join(app, "Contents", "MacOS", "samovar-engine"), "--identifier", bundleID+".engine", "--entitlements", rights),
		sign(app), // Contents/MacOS/samovar is signed with it
		[]string{"codesign", "--verify", "--deep", "--strict", "--verbose=2", app},
	)
}

// sign runs them. work is a folder for what codesign has to read.
func (p plan) sign(app, work, identity string) error {
	rights := filepath.Join(work, "engine.entitlements")
	if err := os.WriteFile(rights, p.engineRights, 0o600); err != nil {
		return err
	}
	for _, c := range p.signing(app, rights, identity) {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", strings.Join(c, " "), err, out)
		}
	}
	return nil
}
