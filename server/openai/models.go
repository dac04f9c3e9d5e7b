package openai

import "samovar/engine/infer"

type model struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	// ContextLength is not in OpenAI's API; clients that guess it wrongly
	// overflow or compact too early.
	ContextLength int `json:"context_length,omitempty"`
}

type modelList struct {
	Object string  `json:"object"`
	Data   []model `json:"data"`
}

// Model returns the description of one model.
func Model(m infer.Model) any { return modelOf(m) }

// Models returns the list of models.
func Models(all []infer.Model) any {
	list := modelList{Object: "list", Data: make([]model, 0, len(all))}
	for _, m := range all {
		list.Data = append(list.Data, modelOf(m))
	}
	return list
}

func modelOf(m infer.Model) model {
	return model{
		ID: m.ID, Object: "model", Created: max(0, m.Created.Unix()),
		OwnedBy: "samovar", ContextLength: m.ContextTokens,
	}
}
