package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// apiError is an error in OpenAI's shape: {"error": {"message", "type", "param", "code"}}.
type apiError struct {
	status  int
	message string
	kind    string // OpenAI's "type"
	param   string // the field at fault; "" is null
	code    string // for programs; "" is null
	// retryAfter is the seconds after which to try again; 0 sends no header.
	retryAfter int
}

func (e *apiError) Error() string { return e.message }

// Types of errors, by OpenAI's names.
const (
	kindInvalid = "invalid_request_error"
	kindAuth    = "authentication_error"
	kindRate    = "rate_limit_error"
	kindServer  = "server_error"
)

// invalid is a mistake in a request's field.
func invalid(param, format string, arguments ...any) *apiError {
	return &apiError{status: http.StatusBadRequest, kind: kindInvalid, param: param, message: fmt.Sprintf(format, arguments...)}
}

// busy says that all places are taken.
func busy(message string) *apiError {
	return &apiError{status: http.StatusTooManyRequests, kind: kindRate, code: "rate_limit_exceeded", retryAfter: 1, message: message}
}

// MarshalJSON gives OpenAI's shape, in which an absent param or code is null.
func (e *apiError) MarshalJSON() ([]byte, error) {
	type body struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	orNull := func(text string) *string {
		if text == "" {
			return nil
		}
		return &text
	}
	return json.Marshal(map[string]body{"error": {e.message, e.kind, orNull(e.param), orNull(e.code)}})
}

// writeError answers a request that has not been answered yet.
func writeError(w http.ResponseWriter, e *apiError) {
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="workbench serve"`)
	}
	writeJSON(w, e.status, e)
}

// writeJSON answers with one value. The client may be gone, which is no one's error.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
}
