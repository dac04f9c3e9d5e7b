-- The menu of a status item, by accessibility.
--   osascript menu.applescript PROCESS list           its items, one a line
--   osascript menu.applescript PROCESS click TITLE    clicks one
-- The menu is there only while it is open, and the click that opens it returns
-- only once it is closed again: nobody waits for that one.
on run argv
	set theProcess to item 1 of argv
	tell application "System Events"
		tell process theProcess
			-- A process's status items are in its last menu bar; one without a Dock
			-- icon has no other.
			set statusItem to menu bar item 1 of menu bar (count of menu bars)
			ignoring application responses
				click statusItem
			end ignoring
		end tell
	end tell
	tell application "System Events"
		tell process theProcess
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
