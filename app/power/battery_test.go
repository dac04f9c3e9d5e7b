package power

import (
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// supplies makes a /sys/class/power_supply: for each supply its attributes.
func supplies(all map[string]map[string]string) fs.FS {
	sys := fstest.MapFS{".": {Mode: fs.ModeDir}}
	for supply, attributes := range all {
		for name, value := range attributes {
			sys[supply+"/"+name] = &fstest.MapFile{Data: []byte(value + "\n")}
		}
	}
	return sys
}

func TestBatteryOnLinux(t *testing.T) {
	type supply = map[string]string
	mains := func(online string) supply { return supply{"type": "Mains", "online": online} }
	battery := func(status string) supply {
		return supply{"type": "Battery", "scope": "System", "status": status}
	}
	for name, test := range map[string]struct {
		all map[string]supply
		on  bool
	}{
		"a desktop":                  {all: nil},
		"unplugged":                  {all: map[string]supply{"AC": mains("0"), "BAT0": battery("Discharging")}, on: true},
		"charging":                   {all: map[string]supply{"AC": mains("1"), "BAT0": battery("Charging")}},
		"full":                       {all: map[string]supply{"AC": mains("1"), "BAT0": battery("Full")}},
		"kept below full":            {all: map[string]supply{"AC": mains("1"), "BAT0": battery("Not charging")}},
		"a charger that's too weak":  {all: map[string]supply{"AC": mains("1"), "BAT0": battery("Discharging")}},
		"by USB":                     {all: map[string]supply{"BAT0": battery("Discharging"), "ucsi": {"type": "USB", "online": "2"}}},
		"USB without a charger":      {all: map[string]supply{"BAT0": battery("Discharging"), "ucsi": {"type": "USB", "online": "0"}}, on: true},
		"one of two batteries":       {all: map[string]supply{"BAT0": battery("Not charging"), "BAT1": battery("Discharging")}, on: true},
		"a battery and nothing else": {all: map[string]supply{"BAT0": {"type": "Battery", "status": "Discharging"}}, on: true},
		"a mouse":                    {all: map[string]supply{"hidpp_battery_0": {"type": "Battery", "scope": "Device", "status": "Discharging"}}},
		"a UPS":                      {all: map[string]supply{"ups": {"type": "UPS", "status": "Discharging"}}, on: true},
		"a supply that says nothing": {all: map[string]supply{"odd": {"uevent": ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			on, known := sysfsBattery(supplies(test.all))
			require.True(t, known)
			require.Equal(t, test.on, on)
		})
	}
}

func TestBatteryIsUnknownWhereLinuxDoesNotSay(t *testing.T) {
	gone, err := fs.Sub(fstest.MapFS{}, "sys/class/power_supply")
	require.NoError(t, err)
	_, known := sysfsBattery(gone)
	require.False(t, known)
}

func TestBatteryOnMacOS(t *testing.T) {
	for name, test := range map[string]struct {
		out       string
		on, known bool
	}{
		"unplugged": {
			out: "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=6094947)\t86%; discharging; 4:29 remaining present: true\n",
			on:  true, known: true,
		},
		"no estimate": {
			out: "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=3735651)\t97%; discharging; (no estimate) present: true\n",
			on:  true, known: true,
		},
		"charging": {
			out:   "Now drawing from 'AC Power'\n -InternalBattery-0 (id=6094947)\t92%; charging; 0:44 remaining present: true\n",
			known: true,
		},
		"a desktop": {out: "Now drawing from 'AC Power'\n", known: true},
		"a UPS": {
			out: "Now drawing from 'UPS Power'\n -Back-UPS ES 700G (id=1)\t100%; discharging; 0:25 remaining present: true\n",
			on:  true, known: true,
		},
		"another power":  {out: "Now drawing from 'Solar Power'\n"},
		"another format": {out: "Battery Power\n"},
		"cut off":        {out: "Now drawing from 'AC Pow"},
		"nothing":        {},
	} {
		t.Run(name, func(t *testing.T) {
			on, known := pmsetBattery(test.out)
			require.Equal(t, test.known, known)
			require.Equal(t, test.on, on)
		})
	}
}

// It's either, or it isn't known; but it never fails.
func TestBatteryOfThisMachine(t *testing.T) {
	on, known := OnBattery(t.Context())
	require.False(t, on && !known)
}
