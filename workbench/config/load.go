package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tandem/configs"
	"tandem/models"
)

// defaultName is the configuration of "".
const defaultName = "tiny"

// maxFile is the largest file read, in bytes: a configuration is a few lines.
const maxFile = 16 << 10

// Names lists the named configurations, sorted.
func Names() []string {
	entries, _ := configs.Files.ReadDir(".") // part of the program: this cannot fail
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimSuffix(entry.Name(), path.Ext(entry.Name())))
	}
	return names
}

// Load makes a configuration in this order, later values over earlier ones:
//
//  1. Default();
//  2. the file: name is one of Names() or the path of a YAML file; "" is "tiny";
//  3. overrides, each KEY=VALUE.
//
// A depth stands for so many transformer blocks. It must agree with a pattern beside it, in overrides also with the
// file's. Without a name, a pattern or depth in overrides replaces tiny's whole architecture but for vocab and context,
// which go with its corpus.
//
// Errors are one line and name file, line, column and key, with what is valid.
func Load(name string, overrides []string) (*Config, error) {
	given, err := parseOverrides(overrides)
	if err != nil {
		return nil, err
	}
	file, err := open(name)
	if err != nil {
		return nil, err
	}
	settings, err := parseYAML(file.label, file.data)
	if err != nil {
		return nil, err
	}
	c := Default()
	c.Name = file.name
	if err := c.apply(settings); err != nil {
		return nil, err
	}
	newShape := has(given, depthKey) || has(given, patternKey)
	switch {
	case newShape && name == "":
		c.Model = models.Config{Vocab: c.Model.Vocab, Context: c.Model.Context}
	case newShape && !has(settings, patternKey):
		c.Model.Pattern = "" // the file's depth gives way to the new one
	}
	if err := c.apply(given); err != nil {
		return nil, err
	}
	if err := c.refuseZeros(append(settings, given...)); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, blame(err, file.label, settings, given)
	}
	return &c, nil
}

// Override changes values, each KEY=VALUE; on an error it changes none. A depth must agree with the pattern.
func (c *Config) Override(overrides []string) error {
	given, err := parseOverrides(overrides)
	if err != nil {
		return err
	}
	changed := c.clone()
	if err := changed.apply(given); err != nil {
		return err
	}
	if err := changed.refuseZeros(given); err != nil {
		return err
	}
	if err := changed.Validate(); err != nil {
		return err
	}
	*c = changed
	return nil
}

func parseOverrides(overrides []string) ([]setting, error) {
	var settings []setting
	for _, override := range overrides {
		key, value, ok := strings.Cut(override, "=")
		if !ok {
			return nil, fmt.Errorf("override %q: write KEY=VALUE", override)
		}
		if err := checkKey(key); err != nil {
			return nil, err
		}
		settings = append(settings, setting{key: key, text: value})
	}
	if has(settings, "steps") && slices.ContainsFunc(settings, func(s setting) bool { return s.key == "minutes" && s.text != "0" }) {
		return nil, errors.New("steps and minutes both say how long to train; give one")
	}
	return settings, nil
}

// apply sets values that were given together.
func (c *Config) apply(settings []setting) error {
	for _, s := range settings {
		if s.key == depthKey {
			continue
		}
		if err := c.set(s); err != nil {
			return fmt.Errorf("%s%w", s.at, err)
		}
	}
	for _, s := range settings { // after the pattern, wherever that stands
		if s.key != depthKey {
			continue
		}
		if err := c.applyDepth(s); err != nil {
			return fmt.Errorf("%s%w", s.at, err)
		}
	}
	if has(settings, "steps") && !has(settings, "minutes") {
		c.Train.Minutes = 0 // as a time takes the place of the steps before it
	}
	return nil
}

// refuseZeros refuses a zero that was written where zero stands for a default that is not zero: who writes final_lr: 0 does
// not mean 0.05.
func (c *Config) refuseZeros(settings []setting) error {
	for _, s := range settings {
		if number, err := strconv.ParseFloat(s.text, 64); err != nil || number != 0 {
			continue
		}
		for _, derived := range c.Derived() {
			if derived.Key != s.key {
				continue
			}
			also := ""
			if at := strings.Index(about[s.key], "; negative"); at >= 0 {
				also = about[s.key][at:]
			}
			switch value := derived.Value.(type) {
			case int:
				if value != 0 {
					return fmt.Errorf("%s%s %s: leave it out for %d, or write a number from 1%s", s.at, s.key, s.text, value, also)
				}
			case float64:
				if value != 0 {
					return fmt.Errorf("%s%s %s: leave it out for %v, or write a number above 0%s", s.at, s.key, s.text, value, also)
				}
			}
		}
	}
	return nil
}

func (c *Config) applyDepth(s setting) error {
	depth, err := strconv.Atoi(s.text)
	if err != nil || s.quoted || s.list != nil || depth < 1 {
		return fmt.Errorf("depth %q: write a whole number of layers, from 1", s.text+strings.Join(s.list, ", "))
	}
	if c.Model.Pattern == "" {
		// By the parser, for its limit on layers.
		c.Model.Pattern, err = models.ParsePattern(string(models.AllTransformer(1)) + s.text)
		return err
	}
	if depth != c.Model.Pattern.Depth() {
		return fmt.Errorf("depth %d: the pattern %s has %d layers; leave depth out, or give a pattern of %d layers",
			depth, c.Model.Pattern, c.Model.Pattern.Depth(), depth)
	}
	return nil
}

func has(settings []setting, key string) bool {
	return slices.ContainsFunc(settings, func(s setting) bool { return s.key == key })
}

// blame puts the place in the file before an error of Validate, which begins with the key, or with the group of keys,
// that is wrong. A key that was given on the command line needs no place.
func blame(err error, label string, settings, given []setting) error {
	key, _, _ := strings.Cut(err.Error(), " ")
	at := func(s setting) bool { return s.key == key || strings.HasPrefix(s.key, key+".") }
	if slices.ContainsFunc(given, at) {
		return err
	}
	if i := slices.IndexFunc(settings, at); i >= 0 {
		return fmt.Errorf("%s%w", settings[i].at, err)
	}
	return fmt.Errorf("%s: %w", label, err)
}

// file is a configuration's text and what to call it.
type file struct {
	name  string // of the configuration
	label string // in errors
	data  []byte
}

// open reads a named configuration or a file.
func open(name string) (file, error) {
	if name == "" {
		name = defaultName
	}
	if slices.Contains(Names(), name) {
		data, err := configs.Files.ReadFile(name + ".yaml")
		return file{name, "configs/" + name + ".yaml", data}, err
	}
	fail := func(err error) (file, error) {
		var reason *fs.PathError
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return file{}, fmt.Errorf("read configuration %q: %w; %sgive a YAML file or one of %s", name, err,
			DidYouMean(name, Names()), strings.Join(Names(), ", "))
	}
	opened, err := os.Open(name)
	if err != nil {
		return fail(err)
	}
	defer opened.Close()
	data, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err != nil {
		return fail(err)
	}
	if len(data) > maxFile {
		return fail(fmt.Errorf("it is larger than %d bytes, so it is no configuration", maxFile))
	}
	base := filepath.Base(name)
	label := strings.Join(strings.Fields(name), " ") // errors stay on one line
	return file{strings.TrimSuffix(base, filepath.Ext(base)), label, data}, nil
}
