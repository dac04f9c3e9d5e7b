package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/mattn/go-isatty"
	"golang.org/x/sys/unix"

	"samovar/app/config"
	"samovar/app/listen"
	"samovar/app/paths"
	"samovar/engine"
	"samovar/engine/checkup"
	"samovar/engine/infer"
	"samovar/engine/models/guide"
)

// symptoms is all that doctor gathers. What it makes of it is diagnose's.
type symptoms struct {
	version versionInfo
	repair  bool

	// workerErr says that the engine's files were not found, or could not be started.
	workerErr error
	libDir    string
	engine    checkup.Engine

	settingsFile  string
	settingsThere bool
	settingsErr   error

	folders []folderFacts
	// disk is the folder whose disk has free bytes left; keepQuota the setting.
	disk      string
	free      int64
	freeErr   error
	keepQuota int64

	addr addressFacts

	model     string
	modelErr  error
	notMade   bool // the model's file is made at the first start
	memory    checkup.Memory
	memoryErr error

	kept    checkup.Kept
	keptErr error
}

type folderFacts struct {
	path   string
	exists bool
	err    error // why nothing can be written there
	open   bool  // others may look into it
}

type addressFacts struct {
	addr string
	err  error // why it cannot be listened on
	// health is what a Samovar answered there, nil if none did.
	health *health
}

// health is what doctor reads of a Samovar's GET /health.
type health struct {
	State    infer.State `json:"state"`
	Progress float64     `json:"progress"`
	Reason   string      `json:"reason"`
	Hint     string      `json:"hint"`
	Version  string      `json:"version"`
	Model    struct {
		ID string `json:"id"`
	} `json:"model"`
	Kept struct {
		On  bool   `json:"on"`
		Off string `json:"off"`
	} `json:"kept"`
}

// doctor looks at everything that Samovar needs here, and says what is not right.
func doctor(ctx context.Context, p Process, inv invocation) error {
	progress := newProgress(p.Stderr)
	defer progress.done()
	found, err := examine(ctx, p, inv, progress)
	if err != nil {
		return err
	}
	progress.done()
	report := diagnose(found)
	if inv.json {
		err = report.writeJSON(p.Stdout)
	} else {
		err = report.writeText(p.Stdout, lookOf(p))
	}
	if err != nil {
		return err
	}
	if n := report.count(problem); n > 0 {
		return fmt.Errorf("%d of %d checks found a problem", n, len(report.Checks))
	}
	return nil
}

// lookOf is how a report is to look on standard output.
func lookOf(p Process) terminal {
	f, ok := p.Stdout.(*os.File)
	if !ok || !isatty.IsTerminal(f.Fd()) {
		return terminal{}
	}
	off, _ := p.LookupEnv("NO_COLOR")
	look := terminal{colours: off == ""}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		look.columns = int(size.Col)
	}
	return look
}

// examine gathers. Its error is about the command line, or ctx's.
func examine(ctx context.Context, p Process, inv invocation, progress *progress) (symptoms, error) {
	found := symptoms{repair: inv.repair, version: thisVersion()}
	if _, err := config.Resolve(config.FromFlags(inv.flags)); err != nil {
		return found, usageError{err}
	}
	progress.show("looking at the settings")
	s, where := found.settings(inv.flags, p.LookupEnv)

	progress.show("loading the engine's libraries")
	worker, libs, err := engine.FindWorker()
	if err == nil {
		found.libDir = libs
		found.engine, err = checkup.ProbeEngine(ctx, worker, libs)
	}
	found.workerErr = err

	progress.show("looking at folders, address and memory")
	found.disks(where)
	found.addr = knock(ctx, s.Addr)
	found.model, found.notMade, found.memory, found.modelErr, found.memoryErr = weigh(ctx, s, where)

	found.kept, found.keptErr = checkup.KeptKV(ctx, where.KeptDir(), inv.repair, func(store string, done, total int64) {
		progress.show(fmt.Sprintf("reading kept KV %s: %d %%", store, 100*done/max(total, 1)))
	})
	return found, ctx.Err()
}

// settings resolves them. Where one is wrong, it goes on with those that are stronger
// than the file, or with the defaults, and the data folder that was named.
func (found *symptoms) settings(flags map[string]string, lookupEnv func(string) (string, bool)) (config.Settings, paths.Paths) {
	byFlag, byEnv := config.FromFlags(flags), config.FromEnv(lookupEnv)
	s, err := config.Resolve(byFlag, byEnv)
	if err != nil {
		named := config.Layer{}
		if dir, ok := byEnv["data_dir"]; ok {
			named["data_dir"] = dir
		}
		s, _ = config.Resolve(byFlag, named) // a folder's name is never wrong
	}
	where, err := paths.In(s.DataDir)
	found.settingsFile = where.SettingsFile()
	_, missing := os.Stat(found.settingsFile)
	found.settingsThere = !errors.Is(missing, fs.ErrNotExist)
	if all, elsewhere, wrong := resolve(flags, lookupEnv); wrong != nil {
		err = wrong
	} else {
		s, where = all, elsewhere
	}
	if err == nil {
		_, err = readTemplate(s.ChatTemplate)
	}
	found.settingsErr = err
	found.keepQuota = s.KeepQuota
	return s, where
}

// disks looks at the folders that everything is written to.
func (found *symptoms) disks(where paths.Paths) {
	for _, dir := range where.Folders() {
		facts := folderFacts{path: dir}
		_, err := os.Stat(dir)
		if facts.exists = !errors.Is(err, fs.ErrNotExist); facts.exists {
			facts.err = tryToWrite(dir)
		} else if up := existing(dir); unix.Access(up, unix.W_OK|unix.X_OK) != nil {
			facts.err = fmt.Errorf("it is not there, and cannot be made in %s", up)
		}
		found.folders = append(found.folders, facts)
	}
	kept := where.KeptDir()
	if info, err := os.Stat(kept); err == nil {
		found.folders = append(found.folders, folderFacts{path: kept, exists: true, err: tryToWrite(kept), open: info.Mode().Perm()&0o077 != 0})
	}
	found.disk = existing(kept)
	found.free, found.freeErr = checkup.FreeBytes(found.disk)
}

// tryToWrite makes a file, and deletes it: permissions do not tell of read-only or
// full disks.
func tryToWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".samovar-doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("samovar")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// existing is the nearest folder upwards that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// healthTimeout is how long a Samovar may take to say how it is; it never computes
// for that.
const healthTimeout = 3 * time.Second

// knock tries to listen on an address, and asks whoever has it.
func knock(ctx context.Context, addr string) addressFacts {
	facts := addressFacts{addr: addr}
	ln, err := listen.TCP(ctx, addr)
	if err == nil {
		facts.err = ln.Close()
		return facts
	}
	facts.err = err
	var taken *listen.Error
	if errors.As(err, &taken) && taken.Owner != nil {
		facts.health = askHealth(ctx, addr)
	}
	return facts
}

// askHealth returns nil if what answers, or does not, is no Samovar.
func askHealth(ctx context.Context, addr string) *health {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/health", nil)
	if err != nil {
		return nil
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}
	resp, err := client.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var h health
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&h) != nil || h.State == "" || h.Version == "" {
		return nil
	}
	return &h
}

// weigh asks what the model of the settings takes.
func weigh(ctx context.Context, s config.Settings, where paths.Paths) (name string, notMade bool, m checkup.Memory, modelErr, memoryErr error) {
	model, err := knownModel(ctx, s, where)
	if err != nil {
		return "", false, m, err, nil
	}
	path := model.Path
	switch {
	case s.Shape != "":
		path = filepath.Join(where.ShapesDir(), model.ID+".gguf")
		if _, err := os.Stat(path); err != nil {
			return model.ID, true, m, nil, nil
		}
	case model.ID == guide.Name && path == "":
		m, err = checkup.GuideMemory(s.ContextTokens, s.KVType, s.KVBytes)
		return model.ID, false, m, nil, err
	}
	m, err = checkup.ModelMemory(path, s.ContextTokens, s.KVType, s.KVBytes)
	return model.ID, false, m, nil, err
}
