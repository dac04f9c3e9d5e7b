package stress

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// event is what is looked at in an event of either surface.
type event struct {
	Type    string `json:"type"`
	Choices []struct {
		Delta struct {
			Content   string `json:"content"`
			Reasoning string `json:"reasoning_content"`
		} `json:"delta"`
	} `json:"choices"`
	Delta struct {
		Text     string `json:"text"`
		Thinking string `json:"thinking"`
	} `json:"delta"`
	Message struct {
		Usage usage `json:"usage"`
	} `json:"message"`
	Usage *usage `json:"usage"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// usage joins the names of both surfaces.
type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	InputTokens      int `json:"input_tokens"`
	CacheCreation    int `json:"cache_creation_input_tokens"`
	CacheRead        int `json:"cache_read_input_tokens"`
	OutputTokens     int `json:"output_tokens"`
}

func (e event) text() string {
	s := e.Delta.Text + e.Delta.Thinking
	for _, c := range e.Choices {
		s += c.Delta.Content + c.Delta.Reasoning
	}
	return s
}

// errHungUp ends reading because the client wanted to leave.
var errHungUp = errors.New("hung up")

// readEvents hands each event to take until the stream says that it is over.
// A stream that ends before is broken.
func readEvents(r io.Reader, take func(event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		data, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:"))
		if !ok {
			continue
		}
		data = bytes.TrimSpace(data)
		if string(data) == "[DONE]" {
			return nil
		}
		var e event
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("an event is not JSON: %w", err)
		}
		if e.Error != nil {
			return fmt.Errorf("the stream ended with an error: %s", e.Error.Message)
		}
		if err := take(e); err != nil {
			return err
		}
		if e.Type == "message_stop" {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}
