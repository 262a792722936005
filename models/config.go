package models

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tandem/blocks"
)

// Config is an architecture. The zero values of Width, Context and Softcap mean the default.
type Config struct {
	// Pattern is the kind of each layer.
	Pattern Pattern `json:"pattern"`
	// Width is the size of the residual stream; 0 is 64 a layer, rounded up to a multiple of 128.
	Width int `json:"width"`
	// Vocab is the number of token ids.
	Vocab int `json:"vocab"`
	// Context is the longest sequence in tokens; 0 is 2048.
	Context int `json:"context"`
	// Softcap bounds the logits to ±Softcap; 0 is 15.
	Softcap float64 `json:"softcap"`
	// Blocks holds the options of each block kind.
	Blocks blocks.Configs `json:"blocks"`
}

// UnmarshalJSON reads a configuration. One from before patterns existed has a depth instead: all transformer.
func (c *Config) UnmarshalJSON(data []byte) error {
	type plain Config
	old := struct {
		*plain
		Depth int `json:"depth"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(data, &old); err != nil {
		return err
	}
	if old.Depth > maxLayers {
		return fmt.Errorf("depth %d: at most %d layers are supported", old.Depth, maxLayers)
	}
	if c.Pattern == "" && old.Depth > 0 {
		c.Pattern = AllTransformer(old.Depth)
	}
	return nil
}

// AllTransformer is the pattern of a model for which none was given.
func AllTransformer(depth int) Pattern {
	layers := make([]byte, depth)
	for i := range layers {
		layers[i] = blocks.Kinds[0].Letter
	}
	return Pattern(layers)
}

// Resolved fills in every default.
func (c Config) Resolved() Config {
	if c.Width == 0 {
		c.Width = (64*c.Pattern.Depth() + 127) / 128 * 128
	}
	if c.Context == 0 {
		c.Context = 2048
	}
	if c.Softcap == 0 {
		c.Softcap = 15
	}
	return c
}

// Validate reports the first thing that is wrong.
func (c Config) Validate() error {
	r := c.Resolved()
	switch {
	case c.Pattern == "":
		return fmt.Errorf("model: it has no pattern; give one such as \"T12 M8\", or a depth")
	case strings.ContainsFunc(string(c.Pattern), isNoKind):
		return fmt.Errorf("pattern %q: one letter a layer is wanted here, of %s; ParsePattern reads counts and names", string(c.Pattern), blocks.KindList())
	case r.Width < 1 || r.Width > 1<<20:
		return fmt.Errorf("width %d: must lie between 1 and %d", r.Width, 1<<20)
	case r.Vocab < 1 || r.Vocab > 1<<30:
		return fmt.Errorf("vocab %d: must lie between 1 and %d", r.Vocab, 1<<30)
	case r.Context < 1 || r.Context > 1<<30:
		return fmt.Errorf("context %d: must lie between 1 and %d", r.Context, 1<<30)
	case r.Softcap < 0 || r.Softcap > 80:
		return fmt.Errorf("softcap %g: must lie between 0 and 80; exp of a larger logit overflows float32", r.Softcap)
	}
	for _, kind := range c.usedKinds() {
		if err := c.Blocks.Of(kind).Validate(r.Width); err != nil {
			return err
		}
	}
	return nil
}

// isNoKind tells letters that a Pattern may not hold.
func isNoKind(letter rune) bool {
	return !slices.ContainsFunc(blocks.Kinds, func(kind blocks.Kind) bool { return rune(kind.Letter) == letter })
}

// usedKinds lists the kinds that occur in the pattern, in registry order.
func (c Config) usedKinds() []blocks.Kind {
	used := map[byte]bool{}
	for i := range c.Pattern {
		used[c.Pattern[i]] = true
	}
	var kinds []blocks.Kind
	for _, kind := range blocks.Kinds {
		if used[kind.Letter] {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// Derived explains every resolved value of the architecture.
func (c Config) Derived() []Derived {
	r := c.Resolved()
	derived := []Derived{
		{Key: "pattern", Value: c.Pattern.String(), Formula: "all T unless given"},
		{Key: "depth", Value: c.Pattern.Depth(), Formula: "the pattern's length"},
		{Key: "width", Value: r.Width, Formula: "64 · depth, rounded up to a multiple of 128, unless given"},
		{Key: "vocab", Value: r.Vocab, Formula: "given"},
		{Key: "context", Value: r.Context, Formula: "2048 unless given"},
		{Key: "softcap", Value: r.Softcap, Formula: "15 unless given: logits = softcap · tanh(logits / softcap)"},
	}
	for _, kind := range c.usedKinds() {
		derived = append(derived, c.Blocks.Of(kind).Derived(r.Width)...)
	}
	return derived
}
