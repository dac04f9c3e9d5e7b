package login_test

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"samovar/app/login"
)

var update = flag.Bool("update", false, "write the golden files")

// nasty is a path with everything that a file name can have and a format may trip over.
const nasty = `/Apps/My "new" $HOME %f 100% ` + "`x`" + ` \n <b>&amp;'s/samovar`

func options(t *testing.T, goos string, program ...string) login.Options {
	home := t.TempDir()
	return login.Options{GOOS: goos, Home: home, ConfigHome: filepath.Join(home, "config"), UID: 501, Program: program,
		Run: func(context.Context, string, ...string) error { return nil }}
}

func TestFiles(t *testing.T) {
	for _, goos := range []string{"darwin", "linux"} {
		for name, program := range map[string][]string{
			"plain": {"/usr/bin/samovar"},
			"nasty": {nasty, "--data-dir", "/data/it's 5% \"mine\""},
		} {
			t.Run(goos+" "+name, func(t *testing.T) {
				item := login.New(options(t, goos, program...))
				require.NoError(t, item.Set(t.Context(), true))
				got, err := os.ReadFile(item.Path())
				require.NoError(t, err)
				golden := filepath.Join("testdata", goos+"-"+name+".txt")
				if *update {
					require.NoError(t, os.WriteFile(golden, got, 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err)
				require.Equal(t, string(want), string(got))
			})
		}
	}
}

func TestOnAndOff(t *testing.T) {
	for _, goos := range []string{"darwin", "linux"} {
		t.Run(goos, func(t *testing.T) {
			var ran []string
			o := options(t, goos, "/usr/bin/samovar")
			o.Run = func(_ context.Context, name string, args ...string) error {
				ran = append(ran, name+" "+strings.Join(args, " "))
				return nil
			}
			item := login.New(o)
			require.Empty(t, item.Why())
			is := func() bool {
				on, err := item.Enabled()
				require.NoError(t, err)
				return on
			}
			require.False(t, is())
			require.NoError(t, item.Set(t.Context(), false), "it is off")
			for range 2 {
				require.NoError(t, item.Set(t.Context(), true))
				require.True(t, is())
			}
			if goos == "darwin" {
				require.Equal(t, []string{"launchctl enable gui/501/io.samovar.Samovar", "launchctl enable gui/501/io.samovar.Samovar"}, ran,
					"nothing that would start or end a Samovar")
			} else {
				require.Empty(t, ran)
			}
			info, err := os.Stat(item.Path())
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o644), info.Mode().Perm())

			// Another copy's entry counts, and is this one's after it was asked for.
			o.Program = []string{"/opt/samovar"}
			other := login.New(o)
			on, err := other.Enabled()
			require.NoError(t, err)
			require.True(t, on)
			require.NoError(t, other.Set(t.Context(), true))
			raw, err := os.ReadFile(item.Path())
			require.NoError(t, err)
			require.Contains(t, string(raw), "/opt/samovar")
			require.NotContains(t, string(raw), "/usr/bin/samovar")

			require.NoError(t, item.Set(t.Context(), false))
			require.False(t, is())
			require.NoFileExists(t, item.Path())
		})
	}
}

func TestWhatOthersHaveMadeOfTheFile(t *testing.T) {
	const head = "[Desktop Entry]\nType=Application\n"
	for raw, want := range map[string]bool{
		head + "Exec=samovar\n": true,
		"# X\n[Desktop Entry]\nExec = samovar --data-dir=/x\nHidden=false": true,
		head + "Exec=samovar\nHidden=true\n":                               false,
		head + "Exec=samovar\r\nHidden = true\r\n":                         false,
		head + "Exec=samovar\nX-GNOME-Autostart-enabled=false\n":           false,
		head + "Exec=samovar\n[Desktop Action X]\nHidden=true\n":           true,
		head + "#Hidden=true\nExec=samovar\n":                              true,
		head:                                                               false,
		"":                                                                 false,
		"\x00\xff":                                                         false,
	} {
		item := login.New(options(t, "linux", "/usr/bin/samovar"))
		require.NoError(t, os.MkdirAll(filepath.Dir(item.Path()), 0o700))
		require.NoError(t, os.WriteFile(item.Path(), []byte(raw), 0o600))
		on, err := item.Enabled()
		require.NoError(t, err)
		require.Equal(t, want, on, raw)
	}

	const plist = `<?xml version="1.0"?><plist version="1.0"><dict><key>ProgramArguments</key><array><string>/x</string></array>`
	for raw, want := range map[string]bool{
		plist + `<key>RunAtLoad</key><true/></dict></plist>`:                            true,
		plist + `<key>RunAtLoad</key><true/><key>Disabled</key><false/></dict></plist>`: true,
		plist + `<key>RunAtLoad</key><true/><key>Disabled</key><true/></dict></plist>`:  false,
		plist + `<key>RunAtLoad</key><false/></dict></plist>`:                           false,
		`<plist version="1.0"><dict><key>RunAtLoad</key><true/></dict></plist>`:         false,
	} {
		item := login.New(options(t, "darwin", "/usr/bin/samovar"))
		require.NoError(t, os.MkdirAll(filepath.Dir(item.Path()), 0o700))
		require.NoError(t, os.WriteFile(item.Path(), []byte(raw), 0o600))
		on, err := item.Enabled()
		require.NoError(t, err)
		require.Equal(t, want, on, raw)
		require.NoError(t, os.WriteFile(item.Path(), []byte("<plist><dict>"), 0o600))
		_, err = item.Enabled()
		require.ErrorContains(t, err, item.Path())
	}
}

func TestWhereItCannotBeHad(t *testing.T) {
	for name, o := range map[string]login.Options{
		"another system":     options(t, "plan9", "/usr/bin/samovar"),
		"no home":            {GOOS: "darwin", Program: []string{"/usr/bin/samovar"}},
		"no program":         options(t, "linux"),
		"a relative program": options(t, "linux", "samovar"),
		"a line break":       options(t, "linux", "/usr/bin/samovar\nExec=evil"),
		"a passing place":    options(t, "darwin", "/private/var/folders/x/T/AppTranslocation/0A/d/Samovar.app/Contents/MacOS/samovar"),
		"in an argument":     options(t, "darwin", "/usr/bin/samovar", "--data-dir", "/a\x00b"),
	} {
		t.Run(name, func(t *testing.T) {
			item := login.New(o)
			require.NotEmpty(t, item.Why())
			on, err := item.Enabled()
			require.NoError(t, err)
			require.False(t, on)
			require.Error(t, item.Set(t.Context(), true))
			require.Empty(t, item.Path())
		})
	}
}

func TestFailuresAreTold(t *testing.T) {
	o := options(t, "darwin", "/usr/bin/samovar")
	o.Run = func(context.Context, string, ...string) error { return errors.New("no launchd here") }
	require.ErrorContains(t, login.New(o).Set(t.Context(), true), "no launchd here")

	o = options(t, "linux", "/usr/bin/samovar")
	require.NoError(t, os.WriteFile(o.ConfigHome, nil, 0o600))
	item := login.New(o)
	require.ErrorContains(t, item.Set(t.Context(), true), o.ConfigHome)
	require.Error(t, item.Set(t.Context(), false))
	_, err := item.Enabled()
	require.Error(t, err)
}
