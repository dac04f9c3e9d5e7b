#!/bin/sh
# Starts a Samovar.app on this Mac as a user would, in folders of its own, and
# tries it: the menu has its items, Stop and Start in it do what they say, the API
# answers, the window opens and its page finds the server, Quit leaves nothing
# behind. Needs accessibility for osascript.
#
#   sh tests/darwin/app.sh bin/app/Samovar.app
set -eu

app=$(cd "$1" && pwd -P)
menu=$(dirname "$0")/menu.applescript
addr=127.0.0.1:17266
data=$(mktemp -d)
log=$data/log

fail() {
  echo "app.sh: $*" >&2
  echo "it said:" >&2
  tail -50 "$log" >&2 || true
  exit 1
}

running() { pgrep -f "$app/Contents/MacOS/" >/dev/null; }

# until SECONDS COMMAND…: tries every half second.
until_() {
  left=$(($1 * 2))
  shift
  while ! "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    [ $left -gt 0 ] || return 1
    sleep 0.5
  done
}

leave() {
  pkill -f "$app/Contents/MacOS/" 2>/dev/null || true
  rm -rf "$data"
}
trap leave EXIT

state() { curl -fsS "http://$addr/health" | grep -q "\"state\":\"$1\""; }
pid() { sed -n 's/.*"pid":\([0-9]*\).*/\1/p' "$data/state/instance.json"; }
item() { osascript "$menu" "$(pid)" list | grep -qx "$1"; }
click() { osascript "$menu" "$(pid)" click "$1"; }

running && fail "$app runs already"
# Somebody who knows Samovar: newcomers get a window at once.
mkdir -p "$data/state"
: >"$data/state/welcomed"
open -n -g --stderr "$log" "$app" --args --data-dir "$data" --addr "$addr"
until_ 60 state ready || fail "it does not get ready"

echo "the menu:"
until_ 20 item "Quit Samovar" || fail "there is no menu, or no way to look at it: is osascript allowed to use accessibility?"
osascript "$menu" "$(pid)" list
for want in "Stop" "Open dashboard" "Copy endpoint" "Connect…" "Launch at login" "Settings…" "Quit Samovar"; do
  item "$want" || fail "the menu has no \"$want\""
done

answer() {
  curl -fsS "http://$addr/v1/chat/completions" -H 'Content-Type: application/json' \
    -d '{"messages":[{"role":"user","content":"What can you do?"}],"max_tokens":40}'
}
answer | grep -q '"finish_reason"' || fail "it does not answer"

click "Stop"
until_ 20 state stopped || fail "Stop does not stop it"
until_ 10 item "Start" || fail "a stopped one cannot be started from the menu"
click "Start"
until_ 60 state ready || fail "Start does not start it"
answer | grep -q '"finish_reason"' || fail "it does not answer after Stop and Start"

window() { pgrep -f "$app/Contents/MacOS/samovar window"; }
visible() { [ "$(osascript "$menu" "$(window)" windows)" -gt 0 ]; }
click "Open dashboard"
until_ 20 visible || fail "Open dashboard shows no window"
until_ 20 grep -q 'server=live' "$log" || fail "the window's page does not find the server"

# Opening an app that runs must not start another one; this one shows its window.
open "$app"
sleep 2
[ "$(window | wc -l)" -eq 1 ] || fail "opening it again did not leave one window"

gone() { ! running; }
click "Quit Samovar"
until_ 30 gone || fail "Quit leaves a process: $(pgrep -fl "$app/Contents/MacOS/")"
echo "it starts, shows its menu, serves, stops, starts, shows its window and quits"
