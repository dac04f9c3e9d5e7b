// Package screen gives tests a display of their own, with a window manager and a session
// bus, and reads what is on it as a screen reader does: by AT-SPI. So a test finds the
// text that a person would be told, and presses the buttons that a person could.
//
// It needs the Debian packages xvfb, openbox, wmctrl, xdotool, imagemagick, xclip
// and at-spi2-core; for a real panel, xfce4-panel and xfconf.
package screen
