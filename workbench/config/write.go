package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/goccy/go-yaml"

	"tandem/models"
)

// YAML is the configuration as a file that Load reads: a line for each key whose value differs from Default. The run's
// name is left out, for a file stands for many runs.
func (c Config) YAML() ([]byte, error) {
	usual := map[string]any{}
	base := Default()
	walk(reflect.ValueOf(&base).Elem(), "", func(key string, field reflect.Value) { usual[key] = field.Interface() })
	var values yaml.MapSlice
	groups := map[string]int{} // the place in values of a block kind's options
	c = c.clone()
	walk(reflect.ValueOf(&c).Elem(), "", func(key string, field reflect.Value) {
		if key == "run" || reflect.DeepEqual(field.Interface(), usual[key]) {
			return
		}
		value := field.Interface()
		if pattern, ok := value.(models.Pattern); ok {
			value = pattern.String()
		}
		if text, ok := value.(string); ok && (strings.ContainsFunc(text, unicode.IsControl) || strings.HasPrefix(text, "?")) {
			value = quoted(text)
		}
		kind, option, dotted := strings.Cut(key, ".")
		if !dotted {
			values = append(values, yaml.MapItem{Key: key, Value: value})
			return
		}
		at, ok := groups[kind]
		if !ok {
			at, groups[kind] = len(values), len(values)
			values = append(values, yaml.MapItem{Key: kind, Value: yaml.MapSlice{}})
		}
		values[at].Value = append(values[at].Value.(yaml.MapSlice), yaml.MapItem{Key: option, Value: value})
	})
	text, err := yaml.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("write configuration %s: %w", c.Name, err)
	}
	return text, nil
}

// quoted is text with tabs, ends of lines and the like, or a question mark in front, written with escapes: the parser drops
// tabs that stand unquoted, takes each carriage return for the end of a line, and a question mark for that of a key.
type quoted string

// MarshalYAML writes a double-quoted scalar, of which a string in JSON is one.
func (q quoted) MarshalYAML() ([]byte, error) { return json.Marshal(string(q)) }
