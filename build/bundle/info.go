package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"text/template"

	"howett.net/plist"
)

// info is a filled-in Info.plist.
type info struct {
	xml   []byte
	minOS string
}

// fillInfo fills in the template and says it again without comments.
func fillInfo(file, version string) (info, error) {
	tmpl, err := template.New("Info.plist").Option("missingkey=error").ParseFiles(file)
	if err != nil {
		return info{}, err
	}
	// Named as the wails CLI's data for this template.
	var data struct {
		Info struct{ ProductVersion, Comments string }
	}
	data.Info.ProductVersion = threeNumbers(version)
	data.Info.Comments = "Samovar " + version
	var filled bytes.Buffer
	if err := tmpl.Execute(&filled, data); err != nil {
		return info{}, err
	}
	dict, xml, err := normalise(filled.Bytes())
	if err != nil {
		return info{}, fmt.Errorf("%s: %w", file, err)
	}
	if err := lintInfo(dict); err != nil {
		return info{}, fmt.Errorf("%s: %w", file, err)
	}
	return info{xml: xml, minOS: dict["LSMinimumSystemVersion"].(string)}, nil
}

// readRights reads entitlements, and says them again without comments.
func readRights(file string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	dict, xml, err := normalise(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for right, granted := range dict {
		if granted != true {
			return nil, fmt.Errorf("%s: %s is %v; a right is granted or left out", file, right, granted)
		}
	}
	return xml, nil
}

// normalise reads a property list in XML and writes it anew: keys sorted, no
// comments.
func normalise(raw []byte) (map[string]any, []byte, error) {
	var dict map[string]any
	format, err := plist.Unmarshal(raw, &dict)
	if err != nil {
		return nil, nil, err
	}
	if format != plist.XMLFormat {
		return nil, nil, fmt.Errorf("it is a property list in %s, not XML", plist.FormatNames[format])
	}
	xml, err := plist.MarshalIndent(dict, plist.XMLFormat, "\t")
	return dict, append(xml, '\n'), err
}

var versionNumbers = regexp.MustCompile(`^v?(\d+\.\d+\.\d+)(\D|$)`)

// threeNumbers makes of a version what macOS takes for one: v1.2.3-4-gabcdef is
// 1.2.3, and what names a commit only is 0.0.0.
func threeNumbers(version string) string {
	if found := versionNumbers.FindStringSubmatch(version); found != nil {
		return found[1]
	}
	return "0.0.0"
}

// bundleID is the app's name for macOS. Info.plist has it for the bundle; the
// tests hold that nothing of ours calls itself otherwise.
const bundleID = "io.samovar.Samovar"

// infoRules are the keys that Info.plist must have, and what must be true of them.
var infoRules = map[string]func(any) bool{
	"CFBundlePackageType":           is("APPL"),
	"CFBundleInfoDictionaryVersion": is("6.0"),
	"CFBundleDevelopmentRegion":     is("en"),
	"CFBundleIdentifier":            is(bundleID),
	"CFBundleName":                  is("Samovar"),
	"CFBundleDisplayName":           is("Samovar"),
	"CFBundleExecutable":            is("samovar"),
	"CFBundleIconFile":              is("Samovar"),
	"CFBundleShortVersionString":    matches(`^\d+\.\d+\.\d+$`),
	"CFBundleVersion":               matches(`^\d+\.\d+\.\d+$`),
	"CFBundleGetInfoString":         matches(`^Samovar .`),
	"NSHumanReadableCopyright":      matches(`^Copyright ©`),
	"LSApplicationCategoryType":     matches(`^public\.app-category\.`),
	"LSMinimumSystemVersion":        matches(`^\d+\.\d+$`),
	// Booleans, not the strings "true" and "1" that some write.
	"LSUIElement":                    is(true),
	"NSHighResolutionCapable":        is(true),
	"NSSupportsAutomaticTermination": is(false),
	"NSSupportsSuddenTermination":    is(false),
	"NSAppTransportSecurity": func(v any) bool {
		dict, ok := v.(map[string]any)
		return ok && len(dict) == 1 && dict["NSAllowsLocalNetworking"] == true
	},
	"CFBundleURLTypes": func(v any) bool {
		list, ok := v.([]any)
		if !ok || len(list) != 1 {
			return false
		}
		dict, ok := list[0].(map[string]any)
		if !ok || dict["CFBundleURLName"] != bundleID || dict["CFBundleTypeRole"] != "Viewer" {
			return false
		}
		schemes, ok := dict["CFBundleURLSchemes"].([]any)
		return ok && len(schemes) == 1 && schemes[0] == "samovar"
	},
}

func is(want any) func(any) bool { return func(v any) bool { return v == want } }

func matches(form string) func(any) bool {
	re := regexp.MustCompile(form)
	return func(v any) bool { s, ok := v.(string); return ok && re.MatchString(s) }
}

// lintInfo says what is wrong with an Info.plist. A key that no rule knows is
// wrong, too: macOS ignores a misspelt one without a word.
func lintInfo(dict map[string]any) error {
	for key, ok := range infoRules {
		if v, there := dict[key]; !there || !ok(v) {
			return fmt.Errorf("%s is %#v, which is not what it must be", key, v)
		}
	}
	for key := range dict {
		if infoRules[key] == nil {
			return fmt.Errorf("%s is not among the keys that are known here", key)
		}
	}
	return nil
}
