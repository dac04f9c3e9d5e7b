// Package config turns the four layers of settings (flag, SAMOVAR_ variable,
// settings file, default) into one validated Settings.
//
// Every setting is one row of Keys, which gives its name in the file, its
// variable, its flag, its default and what is allowed; so the layers cannot
// drift apart. Precedence is decided here and not by the command-line library,
// whose file resolver would win over its variables.
//
// The package reads the settings file and nothing else: no environment, no
// model, no folder. It knows nothing of what the settings are used for.
package config
