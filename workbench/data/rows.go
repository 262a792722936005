package data

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
)

// column is one named value of a row.
type column struct {
	name string
	text bool // it is one string a row, as far as is known before reading
}

// usual are the columns that hold the text of a row where none is named, likeliest first.
var usual = []string{"text", "content", "messages", "conversations"}

// pickColumns finds the columns that make a document: those wanted, joined by a plus, or a usual one, or the only one of
// text.
func pickColumns(wanted string, have []column) ([]string, error) {
	var names, texts []string
	for _, c := range have {
		names = append(names, c.name)
		if c.text {
			texts = append(texts, c.name)
		}
	}
	if wanted != "" {
		picked := strings.Split(wanted, "+")
		for _, name := range picked {
			if !slices.Contains(names, name) {
				return nil, fmt.Errorf("no column %q; there are %s", name, strings.Join(names, ", "))
			}
		}
		return picked, nil
	}
	for _, name := range usual {
		if slices.Contains(names, name) {
			return []string{name}, nil
		}
	}
	if len(texts) == 1 {
		return texts, nil
	}
	return nil, fmt.Errorf("it is not clear which column is the text; name one, or several with + between, of %s", strings.Join(names, ", "))
}

// rowText makes the document of a row: the texts of its columns, with an empty line between.
func rowText(fields map[string]any, columns []string) string {
	var parts []string
	for _, name := range columns {
		if text := valueText(fields[name]); strings.TrimSpace(text) != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "\n\n")
}

// valueText makes text of a value: a conversation becomes its messages, each as "role: content" with an empty line
// between; other lists and objects become what is in them, a line each.
func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	case float32, float64:
		if text, err := json.Marshal(v); err == nil {
			return string(text) // 1000000 and not 1e+06
		}
	case map[string]any:
		for _, names := range [][2]string{{"role", "content"}, {"from", "value"}} {
			if role, ok := v[names[0]].(string); ok {
				if content, ok := v[names[1]]; ok {
					return role + ": " + valueText(content)
				}
			}
		}
		var lines []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, valueText(v[name]))
		}
		return strings.Join(lines, "\n")
	case []any:
		between := "\n"
		var items []string
		for _, item := range v {
			if _, isObject := item.(map[string]any); isObject {
				between = "\n\n"
			}
			items = append(items, valueText(item))
		}
		return strings.Join(items, between)
	}
	return fmt.Sprint(value)
}

// plain makes of a value what JSON has for it: bytes become text, which is what datasets mean by them, and numbers that
// JSON lacks become null.
func plain(value any) any {
	switch v := value.(type) {
	case []byte:
		return string(v)
	case float32:
		if plain(float64(v)) == nil {
			return nil
		}
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case map[string]any:
		for name := range v {
			v[name] = plain(v[name])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return value
}

// isParquet and isJSONLines go by the name of a file.
func isParquet(path string) bool { return strings.EqualFold(filepath.Ext(path), ".parquet") }

func isJSONLines(path string) bool {
	extension := strings.ToLower(filepath.Ext(path))
	return extension == ".jsonl" || extension == ".ndjson"
}

func hasColumns(path string) bool { return isParquet(path) || isJSONLines(path) }

// Rows streams the rows of a corpus of parquet files or JSON lines as JSON objects, with all their columns: for those who
// need more than text, such as questions with their answers.
func Rows(ctx context.Context, spec string, o Options) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		c, err := OpenWith(ctx, spec, o)
		if err != nil {
			yield(nil, err)
			return
		}
		files, ok := c.(*fileCorpus)
		if !ok {
			yield(nil, fmt.Errorf("read rows of %q: only parquet files and JSON lines have rows", spec))
			return
		}
		left := files.limit
		for path, err := range files.paths() {
			if err != nil {
				yield(nil, err)
				return
			}
			for row, err := range fileRows(path) {
				if !yield(row, err) || err != nil {
					return
				}
				if left--; left == 0 {
					return
				}
			}
		}
	}
}

func fileRows(path string) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		switch {
		case isParquet(path):
			p, err := openParquet(path)
			if err != nil {
				yield(nil, err)
				return
			}
			defer p.close()
			for fields, err := range p.rows(nil) {
				var row json.RawMessage
				if err == nil {
					row, err = json.Marshal(plain(fields))
				}
				if !yield(row, err) || err != nil {
					return
				}
			}
		case isJSONLines(path):
			for line, err := range jsonLines(path) {
				if !yield(line.text, err) || err != nil {
					return
				}
			}
		default:
			yield(nil, fmt.Errorf("read rows of %s: only parquet files and JSON lines have rows", path))
		}
	}
}
