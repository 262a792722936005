package config

import (
	"fmt"
	"reflect"
	"strings"
	"sync"

	"tandem/blocks"
	"tandem/models"
	"tandem/workbench/train"
)

// about says in a few words what a key is. The options of block kinds are not here: the kinds explain them.
var about = map[string]string{
	"run":                "name under runs/, or path, of the run's folder",
	"pattern":            "block kind of each layer, such as T12 M8, (TM)10 or a list; the kinds are " + blocks.KindList(),
	"depth":              "number of layers; alone all transformer, beside a pattern it must agree",
	"width":              "size of the residual stream",
	"vocab":              "number of token ids, bytes and special tokens included",
	"context":            "longest sequence in tokens",
	"softcap":            "bound of the logits",
	"data":               "corpus: godoc, godoc:PACKAGE, gosrc, a preset, hf:OWNER/NAME, a text, .jsonl or .parquet file, a folder, a glob, or a mixture of these; workbench data lists them",
	"backend":            "auto, go, cpu, cuda or a GoMLX configuration",
	"steps":              "optimizer steps",
	"minutes":            "time of the steps, in place of their number",
	"batch":              "rows of one forward and backward pass",
	"accumulate":         "passes whose gradients make one step",
	"matrix_lr":          "Muon's learning rate, for matrices inside blocks",
	"embedding_lr":       "AdamW's learning rate for the embedding",
	"head_lr":            "AdamW's learning rate for the head",
	"scalar_lr":          "AdamW's learning rate for all that is no matrix",
	"lr_scale":           "factor of all four learning rates",
	"weight_decay":       "Muon's weight decay at the start; falls to zero",
	"warmup":             "steps over which learning rates rise",
	"warmdown":           "share of the steps, at the end, over which learning rates fall",
	"final_lr":           "share of the learning rate left after the last step",
	"spike_limit":        "standard deviations that loss or gradient may jump before a step is skipped; negative is no limit",
	"skip_limit":         "skipped steps in a row that end the training",
	"log_every":          "steps between lines of metrics",
	"eval_every":         "steps between validations",
	"sample_every":       "steps between samples",
	"save_every":         "steps between checkpoints",
	"checkpoint":         "blocks that the backward pass runs again at a time; 0 keeps all activations",
	"eval_batches":       "validation batches of one evaluation at most",
	"keep":               "checkpoints kept; negative is all",
	"seed":               "seed of the initial weights and of the order of the data",
	"sample_prompt":      "text that samples continue",
	"sample_tokens":      "tokens of a sample at most",
	"sample_temperature": "temperature of samples; 0 takes the likeliest token",
}

// formulas holds those that are more than "DEFAULT unless given".
var formulas = map[string]string{
	"minutes":       "%v unless given: as many steps as there are",
	"run":           "the first free NAME-001, NAME-002, … unless given",
	"warmup":        "%v unless given: the whole rate from the first step",
	"embedding_lr":  "%v unless given; scales with 1/√width",
	"head_lr":       "%v unless given; scales with 1/√width",
	"sample_every":  "%v unless given: only at the end",
	"sample_prompt": "%q unless given",
}

// Describe explains a key in one line for help, with what it is where neither a configuration nor anybody gives it; it is
// empty for a key that does not exist.
func Describe(key string) string {
	text := describe(key)
	for _, s := range ofDefault() {
		if s.key == key && strings.HasSuffix(text, ")") {
			return fmt.Sprintf("%s; %s in %s)", strings.TrimSuffix(text, ")"), s.text, defaultName)
		}
	}
	return text
}

// ofDefault and defaultFormulas are made once, for help asks for hundreds of keys whenever the program starts: the settings of
// the default configuration, and the formula of each key that nobody gave.
var (
	ofDefault = sync.OnceValue(func() []setting {
		file, err := open("")
		if err != nil {
			return nil
		}
		settings, _ := parseYAML(file.label, file.data) // part of the program: this cannot fail
		return settings
	})
	defaultFormulas = sync.OnceValue(func() map[string]string {
		formulas := map[string]string{}
		for _, derived := range Default().Derived() {
			formulas[derived.Key] = derived.Formula
		}
		return formulas
	})
)

func describe(key string) string {
	if text, ok := about[key]; ok {
		if key == depthKey { // its formula is what it says already
			return text
		}
		return text + " (" + defaultFormulas()[key] + ")"
	}
	for _, kind := range blocks.Kinds {
		for _, derived := range kind.New().Derived(1) {
			if derived.Key == key {
				formula, _, _ := strings.Cut(derived.Formula, ";") // what follows depends on the width
				return fmt.Sprintf("option of %s blocks (%s)", kind.Name, formula)
			}
		}
	}
	return ""
}

// Derived explains every value of the configuration after defaults, and what follows from them: its formula says where
// it comes from.
func (c Config) Derived() []models.Derived {
	resolved, defaults := c.Resolved(), Default().Resolved()
	usual := map[string]any{}
	walk(reflect.ValueOf(&defaults).Elem(), "", func(key string, field reflect.Value) { usual[key] = field.Interface() })
	ofModel := map[string]bool{}
	walk(reflect.ValueOf(&resolved.Model).Elem(), "", func(key string, _ reflect.Value) { ofModel[key] = true })

	derived := []models.Derived{{Key: "name", Value: c.Name, Formula: "the configuration's file"}}
	walk(reflect.ValueOf(&resolved).Elem(), "", func(key string, field reflect.Value) {
		switch {
		case key == patternKey:
			derived = append(derived, ofArchitecture(c.Model, usual)...)
		case !ofModel[key]:
			derived = append(derived, models.Derived{Key: key, Value: field.Interface(), Formula: formula(key, usual[key])})
		}
	})
	return append(derived, totals(resolved.Model, resolved.Train)...)
}

// ofArchitecture is what the model says of itself; that vocab has a default is the configuration's doing.
func ofArchitecture(model models.Config, usual map[string]any) []models.Derived {
	derived := model.Derived()
	for i, row := range derived {
		if row.Key == "vocab" {
			derived[i].Formula = formula(row.Key, usual[row.Key])
		}
	}
	return derived
}

func formula(key string, usual any) string {
	text, ok := formulas[key]
	if !ok {
		text = "%v unless given"
	}
	if strings.Contains(text, "%") {
		return fmt.Sprintf(text, usual)
	}
	return text
}

// totals are the sizes that follow from model and training. A model that cannot be built has no parameters to count.
func totals(model models.Config, options train.Options) []models.Derived {
	perStep := options.Batch * options.Accumulate * model.Context
	derived := []models.Derived{
		{Key: "tokens_per_step", Value: perStep, Formula: "batch · accumulate · context"},
	}
	if options.Minutes == 0 {
		derived = append(derived, models.Derived{Key: "tokens", Value: options.Steps * perStep, Formula: "steps · tokens_per_step"})
	}
	if built, err := models.New(model); err == nil {
		derived = append(derived, models.Derived{Key: "parameters", Value: built.Parameters(), Formula: "sum of the sizes of all weights"})
	}
	return derived
}
