package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"tandem/blocks"
	"tandem/models"
	"tandem/workbench/train"
)

// minVocab is what a byte-level tokenizer needs: 256 bytes and 9 special tokens.
const minVocab = 256 + 9

// Config is all that a training needs to know. In files and on the command line its keys are flat: those of Model and
// Train stand beside Run, Data and Backend, those of Sample begin with sample_, and options of a block kind with its
// name: mamba.state.
type Config struct {
	// Name is the file's name without its extension. It is not a key.
	Name string `json:"name" config:"-"`
	// Run is the name or path of the run's folder; "" takes the first free NAME-001, NAME-002, …
	Run string `json:"run"`
	// Model is the architecture.
	Model models.Config `json:"model"`
	// Data is the corpus, in the words of data.Open.
	Data string `json:"data"`
	// Backend is where it runs, in the words of xla.Open.
	Backend string `json:"backend"`
	// Train holds the options of training.
	Train train.Options `json:"train"`
	// Sample is the text that is generated now and then in training.
	Sample Sample `json:"sample" config:"sample_"`
}

// Sample says how to sample in training.
type Sample struct {
	// Prompt is continued.
	Prompt string `json:"prompt"`
	// Tokens is the number of tokens to add at most.
	Tokens int `json:"tokens"`
	// Temperature divides the logits; 0 takes the likeliest token.
	Temperature float64 `json:"temperature"`
}

// Default is the configuration that a file starts from. It has no pattern. Fields left at zero have their defaults in
// the Resolved methods of their components.
func Default() Config {
	return Config{
		Model:   models.Config{Vocab: 65536},
		Data:    "godoc",
		Backend: "auto",
		Sample:  Sample{Prompt: "The", Tokens: 64, Temperature: 0.8},
	}
}

// Validate reports the first thing that is wrong; the error begins with the key where one key is to blame.
func (c Config) Validate() error {
	if c.Model.Vocab < minVocab {
		return fmt.Errorf("vocab %d: too small, for 256 bytes and %d special tokens need an id each; give at least %d", c.Model.Vocab, minVocab-256, minVocab)
	}
	if err := c.Model.Validate(); err != nil {
		return err
	}
	if err := c.Train.Validate(); err != nil {
		return err
	}
	t := c.Train.Resolved()
	tokens := float64(t.Steps) * float64(t.Batch) * float64(t.Accumulate) * float64(c.Model.Resolved().Context)
	if tokens > math.MaxInt64/2 {
		return fmt.Errorf("steps · batch · accumulate · context is %.1e tokens: more than can be counted; lower one of them", tokens)
	}
	return c.Sample.Validate()
}

// Validate reports the first option that cannot be.
func (s Sample) Validate() error {
	switch {
	case s.Tokens < 1 || s.Tokens > 1e6:
		return fmt.Errorf("sample_tokens %d: must lie between 1 and 1000000", s.Tokens)
	case math.IsNaN(s.Temperature) || s.Temperature < 0 || s.Temperature > 100:
		return fmt.Errorf("sample_temperature %g: must lie between 0 and 100", s.Temperature)
	}
	return nil
}

// Resolved fills in every default of every component, those of the pattern's block kinds included.
func (c Config) Resolved() Config {
	c = c.clone()
	c.Model, c.Train = c.Model.Resolved(), c.Train.Resolved()
	for _, kind := range slices.Compact(slices.Sorted(slices.Values([]byte(c.Model.Pattern)))) {
		c.resolveBlock(kind)
	}
	return c
}

// resolveBlock sets the options of a kind to what its Derived says they are.
func (c *Config) resolveBlock(letter byte) {
	kind, ok := blocks.KindByLetter(letter)
	if !ok {
		return
	}
	options := c.blockOptions(kind)
	values := map[string]any{}
	for _, derived := range options.Derived(c.Model.Width) {
		values[derived.Key] = derived.Value
	}
	walk(reflect.ValueOf(options).Elem(), kind.Name+".", func(key string, field reflect.Value) {
		if value := reflect.ValueOf(values[key]); value.IsValid() && value.CanConvert(field.Type()) {
			field.Set(value.Convert(field.Type()))
		}
	})
}

// blockOptions returns the options of a kind to be changed, and makes them if there are none yet.
func (c *Config) blockOptions(kind blocks.Kind) blocks.Config {
	options := c.Model.Blocks.Of(kind)
	if c.Model.Blocks == nil {
		c.Model.Blocks = blocks.Configs{}
	}
	c.Model.Blocks[kind.Name] = options
	return options
}

// clone copies the configuration, so that changing the copy's block options does not change the original's.
func (c Config) clone() Config {
	c.Model.Blocks = maps.Clone(c.Model.Blocks)
	for name, options := range c.Model.Blocks {
		copied := reflect.New(reflect.TypeOf(options).Elem())
		copied.Elem().Set(reflect.ValueOf(options).Elem())
		c.Model.Blocks[name] = copied.Interface().(blocks.Config)
	}
	return c
}

// plain is a Config without its methods, for encoding/json.
type plain Config

// MarshalJSON writes the configuration with every default filled in, so that a run keeps its own when defaults change.
func (c Config) MarshalJSON() ([]byte, error) { return json.Marshal(plain(c.Resolved())) }

// UnmarshalJSON reads a configuration onto the defaults, which fill in fields from before they existed.
func (c *Config) UnmarshalJSON(data []byte) error {
	read := plain(Default())
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	*c = Config(read)
	return nil
}
