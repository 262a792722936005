package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parse checks that a body is one JSON value in UTF-8.
func parse(body []byte) (json.RawMessage, *apiError) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, invalid("", "the request body is empty; send a JSON object")
	}
	if !utf8.Valid(body) {
		return nil, invalid("", "the request body is not valid UTF-8 at byte %d", firstInvalid(body))
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, invalid("", "the request body is not valid JSON: %s at byte %d", syntax.Error(), syntax.Offset)
		}
		return nil, invalid("", "the request body is not valid JSON: %s", err.Error())
	}
	return whole, nil
}

func firstInvalid(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(text)
}

// member is one key of an object and its value.
type member struct {
	name string
	raw  json.RawMessage
}

// object splits an object into its members, in order and without those that are null. param is its place in the request.
// A key that comes twice is an error, for the two readers of such an object may see different values.
func object(param string, raw json.RawMessage) ([]member, *apiError) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, invalid(param, "%s must be an object, not %s", named(param), kindOf(raw))
	}
	var members []member
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, invalid(param, "%s is not a valid object", named(param))
		}
		if seen[name] {
			return nil, invalid(join(param, name), "%s occurs twice; give it once", join(param, name))
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, invalid(join(param, name), "%s is not valid JSON: %s", join(param, name), err.Error())
		}
		if string(value) != "null" {
			members = append(members, member{name, value})
		}
	}
	return members, nil
}

// join is the place of a member: messages[0].role.
func join(param, name string) string {
	if param == "" {
		return name
	}
	return param + "." + name
}

func named(param string) string {
	if param == "" {
		return "the request body"
	}
	return param
}

// kindOf names what a JSON value is.
func kindOf(raw json.RawMessage) string {
	switch text := strings.TrimSpace(string(raw)); {
	case text == "null":
		return "null"
	case text == "true" || text == "false":
		return "a boolean"
	case strings.HasPrefix(text, "{"):
		return "an object"
	case strings.HasPrefix(text, "["):
		return "an array"
	case strings.HasPrefix(text, `"`):
		return "a string"
	}
	return "a number"
}

func text(param string, raw json.RawMessage) (string, *apiError) {
	var value string
	if err := json.Unmarshal(raw, &value); err != nil {
		return "", invalid(param, "%s must be a string, not %s", param, kindOf(raw))
	}
	return value, nil
}

func boolean(param string, raw json.RawMessage) (bool, *apiError) {
	var value bool
	if err := json.Unmarshal(raw, &value); err != nil {
		return false, invalid(param, "%s must be true or false, not %s", param, kindOf(raw))
	}
	return value, nil
}

func array(param string, raw json.RawMessage) ([]json.RawMessage, *apiError) {
	var values []json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, invalid(param, "%s must be an array, not %s", param, kindOf(raw))
	}
	return values, nil
}

func number(param string, raw json.RawMessage) (float64, *apiError) {
	if kindOf(raw) != "a number" {
		return 0, invalid(param, "%s must be a number, not %s", param, kindOf(raw))
	}
	value, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || math.IsInf(value, 0) {
		return 0, invalid(param, "%s is %s, which is out of a number's range", param, clip(string(raw)))
	}
	return value, nil
}

func integer(param string, raw json.RawMessage, low, high int64) (int64, *apiError) {
	if kindOf(raw) != "a number" {
		return 0, invalid(param, "%s must be a whole number, not %s", param, kindOf(raw))
	}
	value, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || value < low || value > high {
		return 0, invalid(param, "%s is %s; it must be a whole number between %d and %d", param, clip(string(raw)), low, high)
	}
	return value, nil
}

// clip shortens a value for an error message, at the border of a character.
func clip(value string) string {
	const most = 80
	if len(value) <= most {
		return value
	}
	end := most
	for !utf8.RuneStart(value[end]) {
		end--
	}
	return value[:end] + "…"
}

// oneOf says that a value is not among the known ones.
func oneOf(param, got string, known []string) *apiError {
	known = slices.Sorted(slices.Values(known))
	return invalid(param, "%s is %q; it must be one of %s", param, clip(got), strings.Join(known, ", "))
}
