package admit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var usual = Config{MaxRequests: 256, MaxWait: 30 * time.Second}

// requireHonest holds what every scenario must keep.
func requireHonest(t *testing.T, v verdict, cfg Config) {
	t.Helper()
	if v.shed > 0 {
		require.GreaterOrEqual(t, float64(v.cameTrue), 0.95*float64(v.shed), "Retry-After comes true")
	}
	require.LessOrEqual(t, v.longest, time.Duration(1.5*float64(cfg.MaxWait)), "nobody waits much longer than allowed")
}

// The origin's stress test: 11 waves of 10, 19, … 100 at once, 3 s between the end
// of one and the next there; here they come every 3 s whatever happens.
func waves(w *world) {
	for i := range 11 {
		for range 10 + 9*i {
			w.send(time.Duration(i)*3*time.Second, 40, 100, 100)
		}
	}
}

func TestScenarios(t *testing.T) {
	for name, m := range map[string]machine{"laptop": laptop, "accelerator": accelerator} {
		for scenario, play := range map[string]func(*world){
			"100 at once": func(w *world) {
				for range 100 {
					w.send(0, 40, 100, 100)
				}
			},
			"600 at once": func(w *world) {
				for range 600 {
					w.send(0, 40, 100, 100)
				}
			},
			"605 in waves": waves,
			"a steady overload": func(w *world) {
				for i := range 600 {
					w.send(time.Duration(i)*200*time.Millisecond, 100, 60+w.r.IntN(80), 150)
				}
			},
			"mixed sizes": func(w *world) {
				for i := range 250 {
					prompt, most := 20+w.r.IntN(300), 20+w.r.IntN(200)
					if i%10 == 0 {
						prompt = 2500
					}
					w.send(time.Duration(w.r.IntN(40_000))*time.Millisecond, prompt, 1+w.r.IntN(most), most)
				}
			},
			"answers end long before max_tokens": func(w *world) {
				for i := range 300 {
					w.send(time.Duration(i)*100*time.Millisecond, 60, 20+w.r.IntN(60), 1000)
				}
			},
			"cells are scarcer than sequences": func(w *world) {
				for range 60 {
					w.send(0, 1000, 100, 3000)
				}
			},
		} {
			t.Run(name+"/"+scenario, func(t *testing.T) {
				w := newWorld(t, m, usual, 0)
				play(w)
				v := w.judge(w.run())
				requireHonest(t, v, usual)
			})
		}
	}
}

// Half of those that are shed never come back: their room goes to others after a
// moment, and promises to the rest hold.
func TestARetryStormThatThinsOut(t *testing.T) {
	for name, m := range map[string]machine{"laptop": laptop, "accelerator": accelerator} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, m, usual, 1)
			w.abandon = 0.5
			for burst := range 4 {
				for range 200 {
					w.send(time.Duration(burst)*20*time.Second, 40, 100, 100)
				}
			}
			v := w.judge(w.run())
			require.Equal(t, 800, len(w.foretold)+w.left, "each was served or left")
			back := 0
			for c := range w.foretold {
				if c.attempts > 1 {
					back++
				}
			}
			require.GreaterOrEqual(t, float64(v.cameTrue), 0.95*float64(back))
			require.LessOrEqual(t, v.longest, 45*time.Second)
		})
	}
}

// Clients with little patience are shed at once rather than time out, and find the
// short queue that they need when they come back.
func TestImpatientClients(t *testing.T) {
	w := newWorld(t, laptop, usual, 1)
	for i := range 200 {
		c := w.send(time.Duration(i/20)*5*time.Second, 40, 100, 100)
		if i%2 == 0 {
			c.patience = 10 * time.Second
		}
	}
	all := w.run()
	requireHonest(t, w.judge(all), usual)
	late := 0
	for _, c := range all {
		if c.patience > 0 && c.wait > c.patience {
			late++
		}
	}
	require.LessOrEqual(t, late, 5, "of 100")
}

// Once costs are known, the wait that is foretold is near the truth.
func TestTheForecastIsNearTheTruth(t *testing.T) {
	w := newWorld(t, laptop, usual, 1)
	for i := range 100 {
		w.send(time.Duration(i)*600*time.Millisecond, 200+w.r.IntN(200), 100, 100)
	}
	off, seen := 0.0, 0
	for _, c := range w.run() {
		foretold := w.foretold[c].Seconds()
		if foretold < 2 {
			continue
		}
		seen++
		if ratio := c.wait.Seconds() / foretold; ratio < 0.6 || ratio > 1.6 {
			off++
		}
	}
	require.Greater(t, seen, 20)
	require.Less(t, off/float64(seen), 0.2)
}

func TestLapsedPromisesHoldNobodyUp(t *testing.T) {
	w := newWorld(t, laptop, usual, 1)
	for range 300 {
		w.send(0, 40, 100, 100)
	}
	w.abandon = 1
	for i := range 50 { // long after the promises have lapsed
		w.send(20*time.Minute+time.Duration(i)*5*time.Second, 40, 100, 100)
	}
	for _, c := range w.run() {
		if c.req.ID >= "300" && len(c.req.ID) == 3 {
			require.Equal(t, 1, c.attempts, "nobody is there, and it is shed")
		}
	}
}
