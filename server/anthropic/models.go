package anthropic

import (
	"time"

	"samovar/engine/infer"
)

type model struct {
	Type           string `json:"type"`
	ID             string `json:"id"`
	DisplayName    string `json:"display_name"`
	CreatedAt      string `json:"created_at"`
	MaxInputTokens int    `json:"max_input_tokens,omitempty"`
	MaxTokens      int    `json:"max_tokens,omitempty"`
}

type modelList struct {
	Data    []model `json:"data"`
	HasMore bool    `json:"has_more"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
}

// Model returns the description of one model.
func Model(m infer.Model) any { return modelOf(m) }

// Models returns the list of models, always as one page.
func Models(all []infer.Model) any {
	list := modelList{Data: make([]model, 0, len(all))}
	for _, m := range all {
		list.Data = append(list.Data, modelOf(m))
	}
	if n := len(list.Data); n > 0 {
		list.FirstID, list.LastID = &list.Data[0].ID, &list.Data[n-1].ID
	}
	return list
}

func modelOf(m infer.Model) model {
	name := m.Name
	if name == "" {
		name = m.ID
	}
	created := m.Created
	if created.Before(time.Unix(0, 0)) {
		created = time.Unix(0, 0) // unknown
	}
	return model{
		Type: "model", ID: m.ID, DisplayName: name,
		CreatedAt:      created.UTC().Format(time.RFC3339),
		MaxInputTokens: m.ContextTokens, MaxTokens: m.ContextTokens,
	}
}
