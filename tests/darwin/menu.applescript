-- The menu of a process's status item, and its windows, by accessibility. The
-- process is named by its id: the menu bar and its window have one name.
--   osascript menu.applescript PID list           the menu's items, one a line
--   osascript menu.applescript PID click TITLE    clicks one
--   osascript menu.applescript PID windows        how many windows it has
-- The menu is there only while it is open, and the click that opens it returns
-- only once it is closed again: nobody waits for that one.
on run argv
	set theID to (item 1 of argv) as integer
	if item 2 of argv is "windows" then
		tell application "System Events"
			return count of windows of (first process whose unix id is theID)
		end tell
	end if
	tell application "System Events"
		tell (first process whose unix id is theID)
			-- A process's status items are in its last menu bar; one without a Dock
			-- icon has no other.
			set statusItem to menu bar item 1 of menu bar (count of menu bars)
			ignoring application responses
				click statusItem
			end ignoring
		end tell
	end tell
	tell application "System Events"
		tell (first process whose unix id is theID)
			set statusItem to menu bar item 1 of menu bar (count of menu bars)
			repeat 50 times
				if exists menu 1 of statusItem then exit repeat
				delay 0.1
			end repeat
			if item 2 of argv is "click" then
				click menu item (item 3 of argv) of menu 1 of statusItem
				return ""
			end if
			set titles to {}
			repeat with one in menu items of menu 1 of statusItem
				set itsName to name of one
				if itsName is not missing value then set end of titles to itsName
			end repeat
		end tell
		key code 53 -- Escape closes it
	end tell
	set AppleScript's text item delimiters to linefeed
	return titles as text
end run
