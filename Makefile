# Samovar's targets. `make help` lists them. Everything that a clean clone needs
# is Go, a C compiler (for `make test`'s race detector) and Node with npm.
# Works with GNU make 3.81, which macOS has.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

GO      ?= go
NPM     ?= npm
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The version is given by name, so Go's own stamping is off: it fails in a
# checkout whose owner git doesn't trust.
GOFLAGS_OURS := -buildvcs=false
LDFLAGS      := -s -w -X samovar/engine/internal/wire.BuildVersion=$(VERSION)
# Passed to samovar by `make run`, e.g. make run ARGS='--model guide'
ARGS ?=

ENGINE := build/engine
# npm ci empties node_modules, so a stamp in there can't outlive its content.
FETCHED := $(ENGINE)/node_modules/.samovar-fetched
STAGED  := $(ENGINE)/staged/.samovar-staged

PAGE := frontend/dist/page/index.html

.PHONY: help setup system build app desktop-deps page browser libs run test test-desktop desktop-tools check cross bench clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: system $(STAGED) ## Fetch and stage the engine's libraries; instant when nothing changed

$(FETCHED): $(ENGINE)/package.json $(ENGINE)/package-lock.json $(ENGINE)/.npmrc
	@command -v $(NPM) >/dev/null 2>&1 || { \
	  echo "make setup: npm is missing. Install Node.js 20 or newer (https://nodejs.org); it fetches the engine's libraries and is not needed afterwards." >&2; exit 1; }
	@echo "fetching the engine's libraries"
# --force: the libraries of other systems too. --ignore-scripts: only files.
	@cd $(ENGINE) && $(NPM) ci --force --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error >/dev/null
	@touch $@

$(STAGED): $(FETCHED) $(wildcard $(ENGINE)/stage/*.go)
	@$(GO) run $(GOFLAGS_OURS) ./$(ENGINE)/stage -dir $(ENGINE)
	@touch $@

# Linux only: the binding's FFI library opens libffi at run time, and the
# engine's libraries need the C++ runtime. macOS has the one, and the FFI
# library brings the other.
system:
	@[ "$$(uname -s)" = Linux ] || exit 0; \
	PATH="$$PATH:/usr/sbin:/sbin"; \
	has() { ldconfig -p 2>/dev/null | grep -q "$$1"; }; \
	missing=; \
	has 'libffi\.so\.8' || missing="$$missing libffi8"; \
	has 'libstdc++\.so\.6' || missing="$$missing libstdc++6"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing$$missing"; \
	  DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
	  apt-get install -qq -y --no-install-recommends $$missing >/dev/null 2>&1 || { \
	    apt-get update -qq >/dev/null && \
	    apt-get install -qq -y --no-install-recommends $$missing >/dev/null; } && exit 0; \
	fi; \
	echo "make setup: the engine needs libffi.so.8 and libstdc++.so.6, and this system lacks:$$missing" >&2; \
	echo "  Debian, Ubuntu: sudo apt-get install$$missing" >&2; \
	echo "  Fedora:         sudo dnf install libffi libstdc++" >&2; \
	exit 1

build: setup libs page ## Leave bin/samovar, bin/samovar-engine and bin/lib (pure Go, no cgo)
	@CGO_ENABLED=0 $(GO) build $(GOFLAGS_OURS) -trimpath -ldflags '$(LDFLAGS)' -o bin/samovar .
	@CGO_ENABLED=0 $(GO) build $(GOFLAGS_OURS) -trimpath -ldflags '$(LDFLAGS)' -o bin/samovar-engine ./engine/samovar-engine

# The desktop app: menu bar and window, so cgo. On macOS it is for the oldest
# system that the engine's libraries run on, which build/darwin/Info.plist
# promises; the flags say it again, since go's cache doesn't know the variable.
# SIGN=IDENTITY signs for others; the default is an ad hoc signature.
APP_TAGS := desktop,production
SIGN     ?= -
ifeq ($(shell uname -s),Darwin)
MACOS_MIN := 14.0
APP_ENV   := MACOSX_DEPLOYMENT_TARGET=$(MACOS_MIN) CGO_CFLAGS='-g -O2 -mmacosx-version-min=$(MACOS_MIN)' CGO_LDFLAGS='-mmacosx-version-min=$(MACOS_MIN)'
else
APP_TAGS := $(APP_TAGS),webkit2_41
endif

app: setup libs page desktop-deps ## Build the desktop app in bin/app: on macOS Samovar.app, signed ad hoc
	@$(APP_ENV) CGO_ENABLED=1 $(GO) build $(GOFLAGS_OURS) -trimpath -tags $(APP_TAGS) -ldflags '$(LDFLAGS)' -o bin/desktop/samovar .
	@CGO_ENABLED=0 $(GO) build $(GOFLAGS_OURS) -trimpath -ldflags '$(LDFLAGS)' -o bin/desktop/samovar-engine ./engine/samovar-engine
	@$(GO) run $(GOFLAGS_OURS) ./build/bundle -samovar bin/desktop/samovar -engine bin/desktop/samovar-engine -libs bin/lib -version $(VERSION) -into bin/app -sign '$(SIGN)'

# Linux only: GTK and WebKit to build the window with. macOS has its own.
desktop-deps:
	@[ "$$(uname -s)" = Linux ] || exit 0; \
	pkg-config --exists gtk+-3.0 webkit2gtk-4.1 2>/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing GTK and WebKit to build with"; \
	  DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
	  apt-get update -qq >/dev/null && apt-get install -qq -y --no-install-recommends gcc libc6-dev pkg-config libgtk-3-dev libwebkit2gtk-4.1-dev >/dev/null && exit 0; \
	fi; \
	echo "make app: the window needs GTK 3 and WebKitGTK 4.1 to build." >&2; \
	echo "  Debian, Ubuntu: sudo apt-get install gcc pkg-config libgtk-3-dev libwebkit2gtk-4.1-dev" >&2; \
	echo "  Fedora:         sudo dnf install gcc pkgconf gtk3-devel webkit2gtk4.1-devel" >&2; \
	exit 1

page: $(PAGE) ## Build the dashboard, which the executable embeds

$(PAGE): frontend/node_modules/.samovar-installed $(shell find frontend/src frontend/public frontend/index.html frontend/*.ts frontend/*.js frontend/*.json -type f 2>/dev/null)
	@echo "building the dashboard"
	@cd frontend && $(NPM) run --silent build -- --outDir dist/page --emptyOutDir --logLevel warn
	@touch $@

frontend/node_modules/.samovar-installed: frontend/package.json frontend/package-lock.json
	@cd frontend && $(NPM) ci --ignore-scripts --no-audit --no-fund --no-progress --loglevel=error >/dev/null
	@touch $@

# This machine's libraries, where the worker looks for them. Checked each time
# (a tenth of a second); replaced as a whole if anything differs.
libs: setup
	@mkdir -p bin
	@$(GO) run $(GOFLAGS_OURS) ./$(ENGINE)/stage -dir $(ENGINE) -into bin/lib host

# The menu bar where there is a display and what its window is built with (see
# desktop-deps), else without one.
run: ## Set up, build and start: in the menu bar where there is a display; serves on 127.0.0.1:7266
	@if [ "$$(uname -s)" = Darwin ]; then \
	  $(MAKE) --no-print-directory app && exec bin/app/Samovar.app/Contents/MacOS/samovar $(ARGS); \
	elif [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && pkg-config --exists gtk+-3.0 webkit2gtk-4.1 2>/dev/null; then \
	  $(MAKE) --no-print-directory app && exec bin/app/samovar/samovar $(ARGS); \
	else \
	  $(MAKE) --no-print-directory build && exec bin/samovar serve $(ARGS); \
	fi

# Debian's Chromium, for the dashboard's tests.
browser: ## Install a browser to test the dashboard in (Debian, as root)
	@for b in chromium chromium-browser google-chrome; do command -v $$b >/dev/null 2>&1 && exit 0; done; \
	[ -z "$$CHROMIUM" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing chromium"; \
	  DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
	  apt-get update -qq >/dev/null && apt-get install -qq -y --no-install-recommends chromium >/dev/null && exit 0; \
	fi; \
	echo "make browser: the dashboard is tested in Chromium, and there is none. Install it, or set CHROMIUM to a browser of its kind." >&2; exit 1

# Linux only: a session bus, a screen, and what looks at it and clicks.
desktop-tools:
	@[ "$$(uname -s)" = Linux ] || exit 0; \
	missing=; \
	for tool in dbus-daemon:dbus Xvfb:xvfb openbox:openbox xdotool:xdotool wmctrl:wmctrl import:imagemagick xprop:x11-utils xclip:xclip; do \
	  command -v $${tool%%:*} >/dev/null 2>&1 || missing="$$missing $${tool#*:}"; \
	done; \
	[ -e /usr/libexec/at-spi-bus-launcher ] || [ -e /usr/lib/at-spi-bus-launcher ] || missing="$$missing at-spi2-core"; \
	[ -e /usr/share/i18n/locales/en_US ] || missing="$$missing locales"; \
	locale() { command locale -a 2>/dev/null | grep -qix 'en_US\.utf-\{0,1\}8' || localedef -i en_US -f UTF-8 en_US.UTF-8; }; \
	[ -n "$$missing" ] || { locale; exit 0; }; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	  echo "installing$$missing"; \
	  DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
	  apt-get update -qq >/dev/null && apt-get install -qq -y --no-install-recommends $$missing fonts-dejavu-core >/dev/null && locale && exit 0; \
	fi; \
	echo "make test-desktop: the desktop app's tests need:$$missing (Debian's names)" >&2; exit 1

test: build app browser desktop-tools check cross ## Everything: set-up, build, linters, cross-builds, tests with the race detector
	CGO_ENABLED=1 $(GO) test $(GOFLAGS_OURS) -race -timeout 15m ./...
	$(GO) test $(GOFLAGS_OURS) -tags tray ./app ./app/tray

# systray itself has a race between its menu's counter and a reader of it, so the tests
# that drive the real one run without the detector.
test-desktop: setup libs page desktop-deps desktop-tools ## Menu bar and window only: on a bus and a screen of their own
	$(GO) test $(GOFLAGS_OURS) -tags tray ./app ./app/tray
	CGO_ENABLED=1 $(GO) test $(GOFLAGS_OURS) -race -timeout 15m ./app/... ./tests/desktop/...

check: desktop-deps ## gofmt, go vet, staticcheck; the desktop app's files, too
	@bad=$$(find . -name .git -prune -o -name node_modules -prune -o -name '*.go' -print | xargs gofmt -l) || exit 1; \
	[ -z "$$bad" ] || { echo "not gofmt'd:" >&2; echo "$$bad" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags $(APP_TAGS) ./...
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags $(APP_TAGS) ./...

# What ships for a Mac and for ARM must compile from any machine, tests included.
cross: ## Build and vet for macOS, build for Linux on ARM with the menu bar
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) build $(GOFLAGS_OURS) ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 $(GO) vet ./...
	CGO_ENABLED=0 GOOS=linux GOARCH=arm64 $(GO) build $(GOFLAGS_OURS) -tags tray ./...

bench: build ## Measure against the raw llama.cpp loop (ARGS='batch --shape 1b' for another one)
	@bin/samovar bench $(if $(ARGS),$(ARGS),decode --shape 0.5b)

clean: ## Remove what the targets above made, downloads included
	rm -rf bin $(ENGINE)/staged $(ENGINE)/node_modules frontend/node_modules frontend/dist/page tests/clients/node_modules tests/fixtures/templates/node_modules
