package stress

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// Discover asks an endpoint which model it serves, and takes the first. An
// endpoint that does not list any is asked without a model's name.
func Discover(ctx context.Context, t Target) (Target, error) {
	client := &http.Client{Transport: &http.Transport{}, Timeout: probePatience}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.BaseURL+"/v1/models", nil)
	if err != nil {
		return t, fmt.Errorf("the address of the endpoint: %w", err)
	}
	t.authorise(req.Header)
	resp, err := client.Do(req)
	if err != nil {
		return t, fmt.Errorf("the endpoint does not answer: %w", err)
	}
	defer resp.Body.Close()
	var models struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&models) == nil && len(models.Data) > 0 {
		t.Model = models.Data[0].ID
	}
	return t, nil
}

// AwaitReady waits until a Samovar that is still loading is ready.
func AwaitReady(ctx context.Context, t Target) error {
	w := newWatcher(t.BaseURL, time.Now())
	defer w.close()
	for {
		h, err := w.health(ctx)
		switch {
		case err != nil || h.State == "" || h.State == "ready":
			return context.Cause(ctx) // another server, or one that serves
		case h.State == "failed":
			return fmt.Errorf("the engine at %s has failed; GET /health there says why", t.BaseURL)
		}
		if !pause(ctx, probeEvery) {
			return context.Cause(ctx)
		}
	}
}
