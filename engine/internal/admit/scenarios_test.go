package admit

import (
	"fmt"
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
			for seed := range uint64(3) {
				t.Run(fmt.Sprintf("%s/%s/%d", name, scenario, seed), func(t *testing.T) {
					w := newWorld(t, m, usual, seed)
					play(w)
					v := w.judge(w.run())
					requireHonest(t, v, usual)
				})
			}
		}
	}
}
