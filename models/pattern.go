package models

import (
	"encoding/json"
	"fmt"
	"strings"

	"tandem/blocks"
)

// Pattern is the sequence of block kinds, one letter a layer: "TTTM".
type Pattern string

const (
	maxLayers  = 4096
	maxNesting = 64
)

// ParsePattern reads a pattern: letters with optional counts, groups in parentheses, or a list of letters or names.
// These are the same: "T2 M", "TTM", `["T", "transformer", "mamba"]`. Case and white space do not matter. Errors name
// the column (from 1) and list the kinds.
func ParsePattern(text string) (Pattern, error) {
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "[") {
		return parseList(trimmed)
	}
	p := &patternParser{text: text}
	layers, err := p.sequence(0)
	if err != nil {
		return "", err
	}
	if layers == "" {
		return "", fmt.Errorf("pattern %q: it is empty; write for example \"T12 M8\"", text)
	}
	return Pattern(layers), nil
}

// PatternOf builds a pattern from one letter or name per layer.
func PatternOf(kinds []string) (Pattern, error) {
	var layers strings.Builder
	for i, name := range kinds {
		kind, ok := blocks.KindByName(strings.TrimSpace(name))
		if !ok {
			return "", fmt.Errorf("pattern entry %d: unknown block %q; there are %s", i+1, name, blocks.KindList())
		}
		layers.WriteByte(kind.Letter)
	}
	if layers.Len() == 0 {
		return "", fmt.Errorf("pattern []: it is empty; write for example \"T12 M8\"")
	}
	if layers.Len() > maxLayers {
		return "", fmt.Errorf("pattern of %d layers: at most %d are supported", layers.Len(), maxLayers)
	}
	return Pattern(layers.String()), nil
}

// parseList reads `["T", "mamba"]`, with or without quotes.
func parseList(text string) (Pattern, error) {
	if !strings.HasSuffix(text, "]") {
		return "", fmt.Errorf("pattern %q: column %d: the list is not closed by ]", text, len(text)+1)
	}
	inner := strings.TrimSpace(text[1 : len(text)-1])
	if inner == "" {
		return PatternOf(nil)
	}
	entries := strings.Split(inner, ",")
	for i, entry := range entries {
		entries[i] = strings.Trim(strings.TrimSpace(entry), `"'`)
	}
	return PatternOf(entries)
}

type patternParser struct {
	text string
	at   int
}

func (p *patternParser) fail(at int, format string, arguments ...any) error {
	return fmt.Errorf("pattern %q: column %d: %s", p.text, at+1, fmt.Sprintf(format, arguments...))
}

func (p *patternParser) skipSpace() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// sequence reads items until the text or the group ends, and leaves a closing parenthesis to its opener.
func (p *patternParser) sequence(depth int) (string, error) {
	var layers strings.Builder
	for {
		p.skipSpace()
		if p.at == len(p.text) || (p.text[p.at] == ')' && depth > 0) {
			return layers.String(), nil
		}
		start := p.at
		item, err := p.item(depth)
		if err != nil {
			return "", err
		}
		count, err := p.count()
		if err != nil {
			return "", err
		}
		if layers.Len()+len(item)*count > maxLayers {
			return "", p.fail(start, "more than %d layers", maxLayers)
		}
		layers.WriteString(strings.Repeat(item, count))
	}
}

// item reads a letter or a group.
func (p *patternParser) item(depth int) (string, error) {
	start := p.at
	if p.text[p.at] != '(' {
		kind, ok := blocks.KindByLetter(p.text[p.at])
		if !ok {
			letter := []rune(p.text[p.at:])[0]
			return "", p.fail(start, "unknown block %q; there are %s", letter, blocks.KindList())
		}
		p.at++
		return string(kind.Letter), nil
	}
	if depth == maxNesting {
		return "", p.fail(start, "groups nest more than %d deep", maxNesting)
	}
	p.at++
	group, err := p.sequence(depth + 1)
	if err != nil {
		return "", err
	}
	if p.at == len(p.text) {
		return "", p.fail(start, "this group is not closed by )")
	}
	if group == "" {
		return "", p.fail(start, "this group is empty; put blocks in it: %s", blocks.KindList())
	}
	p.at++
	return group, nil
}

// count reads an optional repeat count.
func (p *patternParser) count() (int, error) {
	p.skipSpace()
	start, count := p.at, 0
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		count = min(count*10+int(p.text[p.at]-'0'), maxLayers+1)
		p.at++
	}
	switch {
	case start == p.at:
		return 1, nil
	case count == 0:
		return 0, p.fail(start, "a block cannot be repeated 0 times")
	case count > maxLayers:
		return 0, p.fail(start, "more than %d layers", maxLayers)
	}
	return count, nil
}

// Depth is the number of layers.
func (p Pattern) Depth() int { return len(p) }

// Kinds is the block kind of each layer.
func (p Pattern) Kinds() []blocks.Kind {
	kinds := make([]blocks.Kind, len(p))
	for i := range kinds {
		kinds[i], _ = blocks.KindByLetter(p[i])
	}
	return kinds
}

// String is the canonical form: "(TM)10" when the whole pattern repeats a mixed unit, else runs: "T12 M8".
func (p Pattern) String() string {
	layers := string(p)
	for size := 2; size <= len(layers)/2; size++ {
		unit := layers[:size]
		if len(layers)%size == 0 && strings.Repeat(unit, len(layers)/size) == layers && strings.Trim(unit, unit[:1]) != "" {
			return fmt.Sprintf("(%s)%d", runs(unit, ""), len(layers)/size)
		}
	}
	return runs(layers, " ")
}

// runs writes layers as letters with counts.
func runs(layers, separator string) string {
	var parts []string
	for start := 0; start < len(layers); {
		end := start
		for end < len(layers) && layers[end] == layers[start] {
			end++
		}
		part := layers[start : start+1]
		if end-start > 1 {
			part += fmt.Sprint(end - start)
		}
		parts = append(parts, part)
		start = end
	}
	return strings.Join(parts, separator)
}

// MarshalJSON writes the canonical form.
func (p Pattern) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON reads any form that ParsePattern or PatternOf takes.
func (p *Pattern) UnmarshalJSON(data []byte) error {
	var list []string
	if json.Unmarshal(data, &list) == nil && list != nil {
		parsed, err := PatternOf(list)
		*p = parsed
		return err
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("pattern %s: write a string such as \"T12 M8\" or a list of block names", data)
	}
	if text == "" {
		return nil
	}
	parsed, err := ParsePattern(text)
	*p = parsed
	return err
}
