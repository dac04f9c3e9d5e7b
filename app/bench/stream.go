package bench

import (
	"bufio"
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
)

// streamed is what a client sees of one streamed answer.
type streamed struct {
	start time.Time
	// texts holds when each chunk with text arrived, end when the last chunk did.
	texts []time.Time
	end   time.Time

	// server holds the parts of the Server-Timing trailer, in milliseconds; closed is
	// when that had come, and with it everything.
	server map[string]float64
	closed time.Time

	text                       string
	prompt, cached, completion int
}

// ttft is how long the first text took to come.
func (s streamed) ttft() time.Duration { return s.texts[0].Sub(s.start) }

// firstToken is how long the first token took, in milliseconds, as its client has it:
// unlike ttft also where the token has no text to be seen, as half a character has none.
// The server tells when it had it; what the client waited beyond the server's total is
// what the way there and back took.
func (s streamed) firstToken() float64 {
	return s.server["first-token"] + max(0, millis(s.closed.Sub(s.start))-s.server["total"])
}

// chunk is what is looked at in a chunk of a streamed chat completion.
type chunk struct {
	Choices []struct {
		Delta struct {
			Content string `json:"content"`
		} `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens        int `json:"prompt_tokens"`
		PromptTokensDetails struct {
			CachedTokens int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		CompletionTokens int `json:"completion_tokens"`
	} `json:"usage"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// prompt differs between streams, but not in length.
func prompt(stream int) string {
	return fmt.Sprintf("Stream %02d: tell me a long story about a teapot.", stream)
}

// stream asks for one greedy streamed answer and reads it to its end.
func stream(ctx context.Context, baseURL, text string, tokens int) (streamed, error) {
	return streamMessages(ctx, baseURL, []message{{"user", text}}, tokens)
}

// streamMessages is stream for a conversation.
func streamMessages(ctx context.Context, baseURL string, messages []message, tokens int) (streamed, error) {
	s, err := streamUntil(ctx, baseURL, messages, tokens)
	if err == nil {
		err = ctx.Err()
	}
	return s, err
}

// streamUntil is streamMessages, but when ctx is done first, what came until then is the
// answer.
func streamUntil(ctx context.Context, baseURL string, messages []message, tokens int) (streamed, error) {
	body, err := json.Marshal(map[string]any{
		"messages":       messages,
		"stream":         true,
		"stream_options": map[string]bool{"include_usage": true},
		"temperature":    0,
		"max_tokens":     tokens,
	})
	if err != nil {
		return streamed{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+"/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return streamed{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	s := streamed{start: time.Now()}
	recorded, err := record(ctx, req)
	if err != nil {
		return streamed{}, err
	}
	again := &replay{left: recorded}
	resp, err := again.response(req)
	if err != nil {
		return streamed{}, fmt.Errorf("the server's answer is broken: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)) // the status alone is worth showing
		return streamed{}, fmt.Errorf("the server answers %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	if err := s.read(resp.Body, func() time.Time { return again.now }); err != nil && ctx.Err() != nil {
		return s, nil
	} else if err != nil {
		return streamed{}, err
	}
	s.server, s.closed = timings(resp.Trailer.Get("Server-Timing")), again.now
	if s.completion < 2 || len(s.texts) == 0 {
		return streamed{}, fmt.Errorf("the model said only %d tokens, too few to measure a rate", s.completion)
	}
	return s, nil
}

// read takes the chunks of a body; now says when what was read last had arrived.
func (s *streamed) read(body io.Reader, now func() time.Time) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			_, err := io.Copy(io.Discard, body) // the trailer comes behind the body's end
			return err
		}
		var c chunk
		if err := json.Unmarshal([]byte(data), &c); err != nil {
			return fmt.Errorf("the server sent a broken chunk: %w", err)
		}
		if c.Error != nil {
			return errors.New(c.Error.Message)
		}
		s.add(c, now())
	}
	return errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// timings parses a Server-Timing header, as far as its parts have a duration
// (https://www.w3.org/TR/server-timing).
func timings(header string) map[string]float64 {
	parts := map[string]float64{}
	for part := range strings.SplitSeq(header, ",") {
		name, dur, ok := strings.Cut(strings.TrimSpace(part), ";dur=")
		if ms, err := strconv.ParseFloat(dur, 64); ok && err == nil {
			parts[name] = ms
		}
	}
	return parts
}

func (s *streamed) add(c chunk, now time.Time) {
	if c.Usage != nil {
		s.prompt, s.completion = c.Usage.PromptTokens, c.Usage.CompletionTokens
		s.cached = c.Usage.PromptTokensDetails.CachedTokens
	}
	for _, choice := range c.Choices {
		if choice.Delta.Content != "" {
			s.texts = append(s.texts, now)
			s.text += choice.Delta.Content
		}
		if choice.FinishReason != nil {
			s.end = now
		}
	}
}

// together runs streams at once and returns what each client saw.
func together(ctx context.Context, baseURL string, streams, tokens int) ([]streamed, error) {
	type result struct {
		streamed
		err error
	}
	results := make(chan result, streams)
	for i := range streams {
		go func() {
			s, err := stream(ctx, baseURL, prompt(i), tokens)
			results <- result{s, err}
		}()
	}
	seen := make([]streamed, 0, streams)
	var failed error
	for range streams {
		r := <-results
		failed = errors.Join(failed, r.err)
		seen = append(seen, r.streamed)
	}
	if failed != nil {
		return nil, failed
	}
	return seen, nil
}

// rate returns the tokens per second of all streams together, in the time in
// which all of them decode: from when the last one has its first text until the
// first one ends. Each stream's chunks after the first stand for its tokens after the
// first in equal parts: nearly always that is one token a chunk, or two.
func rate(seen []streamed) (float64, error) {
	from, to := seen[0].texts[0], seen[0].end
	for _, s := range seen[1:] {
		if s.texts[0].After(from) {
			from = s.texts[0]
		}
		if s.end.Before(to) {
			to = s.end
		}
	}
	window := to.Sub(from).Seconds()
	if window <= 0 {
		return 0, errors.New("the streams did not overlap; ask for more --tokens")
	}
	tokens := 0.0
	for _, s := range seen {
		inWindow := 0
		for _, at := range s.texts {
			if at.After(from) && !at.After(to) {
				inWindow++
			}
		}
		// The first token comes alone; later ones may come together.
		tokens += float64(inWindow) * float64(s.completion-1) / float64(max(1, len(s.texts)-1))
	}
	return tokens / window, nil
}
