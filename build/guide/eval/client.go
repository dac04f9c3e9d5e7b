package eval

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// message is a turn as the OpenAI API has it.
type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// client asks one OpenAI-compatible endpoint.
type client struct {
	url  string // of the chat completions
	opts Options
}

// maxTries bounds how often a request is repeated that the server shed with
// 429 or 503; maxPause bounds the pause it can ask for.
const (
	maxTries = 8
	maxPause = 15 * time.Second
	maxBody  = 4 << 20
)

func newClient(baseURL string, opts Options) *client {
	base := strings.TrimSuffix(strings.TrimRight(baseURL, "/"), "/v1")
	return &client{url: base + "/v1/chat/completions", opts: opts}
}

// chat sends the conversation and returns the next turn.
func (c *client) chat(ctx context.Context, messages []message) (Answer, error) {
	body := map[string]any{
		"messages":    messages,
		"temperature": c.opts.Temperature,
		"max_tokens":  c.opts.MaxTokens,
		"seed":        c.opts.Seed,
		"stream":      false,
	}
	if c.opts.Model != "" {
		body["model"] = c.opts.Model
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return Answer{}, err
	}
	for try := 1; ; try++ {
		answer, pause, err := c.post(ctx, payload)
		if err == nil || pause == 0 || try == maxTries {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return Answer{}, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// post sends one request. A pause above 0 says that it is worth sending again,
// and when.
func (c *client) post(ctx context.Context, payload []byte) (a Answer, pause time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(payload))
	if err != nil {
		return Answer{}, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.opts.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	resp, err := c.opts.Client.Do(req)
	if err != nil {
		return Answer{}, 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return Answer{}, 0, fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		err := fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(data[:min(len(data), 500)]))
		if resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusServiceUnavailable {
			return Answer{}, retryAfter(resp.Header), err
		}
		return Answer{}, 0, err
	}
	a, err = decodeChat(data)
	return a, 0, err
}

func decodeChat(data []byte) (Answer, error) {
	if !utf8.Valid(data) { // encoding/json would mend it silently
		return Answer{}, errors.New("the response is not valid UTF-8")
	}
	var r struct {
		Choices []struct {
			Message      message `json:"message"`
			FinishReason string  `json:"finish_reason"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Answer{}, fmt.Errorf("the response is not JSON: %w", err)
	}
	if len(r.Choices) != 1 {
		return Answer{}, fmt.Errorf("the response has %d choices, not 1", len(r.Choices))
	}
	return Answer{Text: r.Choices[0].Message.Content, FinishReason: r.Choices[0].FinishReason}, nil
}

// retryAfter reads the header's seconds; without them a second is a fair guess.
func retryAfter(h http.Header) time.Duration {
	s, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || s < 1 {
		s = 1
	}
	return min(time.Duration(s)*time.Second, maxPause)
}
