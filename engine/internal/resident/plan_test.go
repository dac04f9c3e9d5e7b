package resident

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPlan(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	ago := func(s int) time.Time { return now.Add(-time.Duration(s) * time.Second) }
	for name, tc := range map[string]struct {
		models []Model
		asking []Asking
		limits Limits
		want   Actions
	}{
		"nothing to do": {models: []Model{{ID: "a", Bytes: 5}}, limits: Limits{Bytes: 10}},
		"there is room": {
			models: []Model{{ID: "a", Bytes: 5}}, asking: []Asking{{"b", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Admit: true, Grant: 5},
		},
		"the least recently used leaves": {
			models: []Model{{ID: "a", Bytes: 5, Used: ago(10)}, {ID: "b", Bytes: 5, Used: ago(20)}},
			asking: []Asking{{"c", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Unload: []string{"b"}, Wait: []string{"b"}},
		},
		"as many as it takes": {
			models: []Model{{ID: "a", Bytes: 5, Used: ago(10)}, {ID: "b", Bytes: 5, Used: ago(20)}},
			asking: []Asking{{"c", 6}}, limits: Limits{Bytes: 10},
			want: Actions{Unload: []string{"b", "a"}, Wait: []string{"b", "a"}},
		},
		"an idle one before one that computes, whenever it was used": {
			models: []Model{{ID: "a", Bytes: 5, Used: ago(1)}, {ID: "b", Bytes: 5, Used: ago(20), Busy: true}},
			asking: []Asking{{"c", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Unload: []string{"a"}, Wait: []string{"a"}},
		},
		"one that computes has its turn": {
			models: []Model{{ID: "a", Bytes: 9, Busy: true, Since: ago(4)}},
			asking: []Asking{{"b", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Wait: []string{"a"}, After: 6 * time.Second},
		},
		"a longer one if the swap is dear": {
			models: []Model{{ID: "a", Bytes: 9, Busy: true, Since: ago(40), Swap: 6 * time.Second}},
			asking: []Asking{{"b", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Wait: []string{"a"}, After: 20 * time.Second},
		},
		"and then makes room": {
			models: []Model{{ID: "a", Bytes: 9, Busy: true, Since: ago(10)}},
			asking: []Asking{{"b", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Unload: []string{"a"}, Wait: []string{"a"}},
		},
		"one that loads is waited for": {
			models: []Model{{ID: "a", Bytes: 9, Loading: true}}, asking: []Asking{{"b", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Wait: []string{"a"}},
		},
		"one that leaves already is enough": {
			models: []Model{{ID: "a", Bytes: 5, Leaving: true}, {ID: "b", Bytes: 5}}, asking: []Asking{{"c", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Wait: []string{"a"}},
		},
		"the pinned stay: it gets what is left": {
			models: []Model{{ID: "a", Bytes: 8, Pinned: true}}, asking: []Asking{{"b", 5}}, limits: Limits{Bytes: 10},
			want: Actions{Admit: true, Grant: 2},
		},
		"alone it gets what there is": {
			asking: []Asking{{"b", 50}}, limits: Limits{Bytes: 10},
			want: Actions{Admit: true, Grant: 10},
		},
		"less memory than is taken": {
			models: []Model{{ID: "a", Bytes: 8, Pinned: true}}, asking: []Asking{{"b", 5}}, limits: Limits{Bytes: 6},
			want: Actions{Admit: true},
		},
		"the first that asks is the first": {
			models: []Model{{ID: "a", Bytes: 9}}, asking: []Asking{{"b", 9}, {"c", 1}}, limits: Limits{Bytes: 10},
			want: Actions{Unload: []string{"a"}, Wait: []string{"a"}},
		},
		"idle for too long": {
			models: []Model{{ID: "a", Used: ago(60)}, {ID: "b", Used: ago(40)}, {ID: "c", Used: ago(90), Busy: true}, {ID: "d", Used: ago(90), Pinned: true}},
			limits: Limits{Idle: time.Minute},
			want:   Actions{Unload: []string{"a"}, After: 20 * time.Second},
		},
		"a squeeze": {
			models: []Model{{ID: "a"}, {ID: "b", Busy: true}, {ID: "c", Pinned: true}, {ID: "d", Loading: true}},
			limits: Limits{Squeeze: true},
			want:   Actions{Unload: []string{"a"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range tc.models {
				if tc.models[i].Used.IsZero() {
					tc.models[i].Used = now
				}
			}
			require.Equal(t, tc.want, Plan(tc.models, tc.asking, tc.limits, now))
		})
	}
}

// Whoever asks gets in, in the end, if what Plan says is done: models come and go, are
// busy and idle as chance has it, and nobody waits forever.
func TestEverybodyGetsIn(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		now := time.Unix(0, 0)
		var in []Model
		asking := []Asking{{"w", 1 + rng.Int64N(12)}}
		limits := Limits{Bytes: 10}
		for i := range 4 {
			in = append(in, Model{ID: string(rune('a' + i)), Bytes: rng.Int64N(6), Busy: rng.IntN(2) == 0, Since: now, Used: now})
		}
		admitted := false
		for range 100 {
			a := Plan(in, asking, limits, now)
			for _, id := range a.Unload {
				i := slices.IndexFunc(in, func(m Model) bool { return m.ID == id })
				require.False(t, in[i].Pinned || in[i].Leaving)
				in[i].Leaving = true
			}
			if a.Admit {
				total := a.Grant
				for _, m := range in {
					total += m.Bytes
				}
				require.True(t, total <= limits.Bytes || a.Grant == 0, "seed %d: %d bytes of %d", seed, total, limits.Bytes)
				admitted = true
				break
			}
			require.NotEmpty(t, a.Wait, "seed %d: it waits for nobody", seed)
			if rng.IntN(2) == 0 { // those that leave have left
				in = slices.DeleteFunc(in, func(m Model) bool { return m.Leaving })
			}
			for i := range in {
				in[i].Busy = rng.IntN(2) == 0
			}
			now = now.Add(max(a.After, time.Second))
		}
		require.True(t, admitted, "seed %d", seed)
	}
}
