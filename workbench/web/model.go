package web

import (
	"fmt"
	"net/http"
)

// modelObject is an entry of /v1/models.
type modelObject struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	OwnedBy string   `json:"owned_by"`
	Own     ownModel `json:"tandem"`
}

// ownModel is what the page shows of the model.
type ownModel struct {
	Pattern         string `json:"pattern"`
	Kinds           []Kind `json:"kinds"`
	Parameters      int    `json:"parameters"`
	Context         int    `json:"context"`
	MaxTokens       int    `json:"max_tokens"`
	StateFixedBytes int64  `json:"state_fixed_bytes"`
	StateTokenBytes int64  `json:"state_token_bytes"`
	Device          string `json:"device"`
}

func (s *Server) model() modelObject {
	i := s.options.Info
	return modelObject{
		ID: i.Name, Object: "model", Created: i.Created.Unix(), OwnedBy: "tandem",
		Own: ownModel{
			Pattern: i.Pattern, Kinds: i.Kinds, Parameters: i.Parameters, Context: i.Context, MaxTokens: min(i.Context, s.limits.MaxTokens),
			StateFixedBytes: i.StateFixedBytes, StateTokenBytes: i.StateTokenBytes, Device: i.Device,
		},
	}
}

func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": []modelObject{s.model()}})
}

func (s *Server) oneModel(w http.ResponseWriter, r *http.Request) {
	if problem := s.checkModel(r.PathValue("model")); problem != nil {
		writeError(w, problem)
		return
	}
	writeJSON(w, http.StatusOK, s.model())
}

// checkModel reports a model that is not the one served.
func (s *Server) checkModel(name string) *apiError {
	if name == s.options.Info.Name {
		return nil
	}
	return &apiError{
		status: http.StatusNotFound, kind: kindInvalid, param: "model", code: "model_not_found",
		message: fmt.Sprintf("there is no model %q; this server has %q", clip(name), s.options.Info.Name),
	}
}
