package models

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Available is the memory that a model may take now: what the kernel says is
// available, or less where a control group limits us.
func Available() (int64, error) { return available("/") }

func available(root string) (int64, error) {
	free, err := memAvailable(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return 0, err
	}
	if left, ok := groupLeft(root); ok {
		free = min(free, left)
	}
	return free, nil
}

// Budget is the memory that models may take together, those included that take so much
// already.
func Budget(taken int64) (int64, error) {
	free, err := Available()
	return free + taken, err
}

// Memory is what the machine has, or what a control group leaves us of it.
func Memory() (int64, error) { return memory("/") }

func memory(root string) (int64, error) {
	total, err := memLine(filepath.Join(root, "proc/meminfo"), "MemTotal:")
	if err != nil {
		return 0, err
	}
	if limit, ok := groupLimit(root); ok {
		total = min(total, limit)
	}
	return total, nil
}

func memAvailable(path string) (int64, error) { return memLine(path, "MemAvailable:") }

// memLine reads a line of /proc/meminfo, in bytes.
func memLine(path, name string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(rest, "kB")), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("the line %q of %s has no number: %w", lines.Text(), path, err)
			}
			return kib << 10, nil
		}
	}
	return 0, errors.Join(fmt.Errorf("%s has no line %s", path, name), lines.Err())
}

// groupLeft is the least of limit − use over our control group (version 2) and
// those above it. Page cache that could be dropped counts as free.
func groupLeft(root string) (left int64, limited bool) {
	return leastOfGroups(root, func(dir string) (int64, bool) {
		limit, okL := readNumber(filepath.Join(dir, "memory.max"))
		used, okU := readNumber(filepath.Join(dir, "memory.current"))
		return max(0, limit-used+inactiveFile(filepath.Join(dir, "memory.stat"))), okL && okU
	})
}

// groupLimit is the least limit of them.
func groupLimit(root string) (limit int64, limited bool) {
	return leastOfGroups(root, func(dir string) (int64, bool) { return readNumber(filepath.Join(dir, "memory.max")) })
}

// leastOfGroups is the least that read gives for our control group and those above it.
func leastOfGroups(root string, read func(dir string) (int64, bool)) (least int64, any bool) {
	raw, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(raw)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for at := filepath.Clean("/" + group); ; at = filepath.Dir(at) {
			if n, ok := read(filepath.Join(root, "sys/fs/cgroup", at)); ok && (!any || n < least) {
				least, any = n, true
			}
			if at == "/" {
				break
			}
		}
	}
	return least, any
}

func readNumber(path string) (int64, bool) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64) // "max" is no limit
	return n, err == nil
}

func inactiveFile(path string) int64 {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "inactive_file "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64)
			return n
		}
	}
	return 0
}
