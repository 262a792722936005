package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"tandem/blocks"
	"tandem/models"
)

const (
	patternKey = "pattern"
	// depthKey is the one key without a field: it stands for a pattern of transformer blocks.
	depthKey = "depth"
)

// Keys lists every key, in the order of the structs.
func Keys() []string {
	var keys []string
	c := Default()
	walk(reflect.ValueOf(&c).Elem(), "", func(key string, _ reflect.Value) {
		keys = append(keys, key)
		if key == patternKey {
			keys = append(keys, depthKey)
		}
	})
	return keys
}

// ModelKeys lists the keys that say what the model is, in the same order.
func ModelKeys() []string {
	c := Default()
	keys := []string{depthKey}
	walk(reflect.ValueOf(&c.Model).Elem(), "", func(key string, _ reflect.Value) { keys = append(keys, key) })
	return keys
}

// walk visits the fields of a struct and of those in it, under the names of their json tags. The config tag of a struct
// in it is a prefix; that of a field that is no key is "-". Options of block kinds have the kind's name before them.
func walk(value reflect.Value, prefix string, visit func(key string, field reflect.Value)) {
	for i := range value.NumField() {
		tag, field := value.Type().Field(i).Tag, value.Field(i)
		if tag.Get("config") == "-" || !field.CanInterface() {
			continue
		}
		if configs, ok := field.Interface().(blocks.Configs); ok {
			for _, kind := range blocks.Kinds {
				walk(reflect.ValueOf(configs.Of(kind)).Elem(), kind.Name+".", visit)
			}
			continue
		}
		if field.Kind() == reflect.Struct {
			walk(field, prefix+tag.Get("config"), visit)
			continue
		}
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		visit(prefix+name, field)
	}
}

// setting is one value that was given for a key.
type setting struct {
	key  string
	text string
	// list holds the value if it was a list; text is then empty.
	list []string
	// quoted values are text, whatever they look like.
	quoted bool
	// at is where the value stands, as a prefix of errors: "file:2:7: ", or "" on the command line.
	at string
}

// set changes the field of a known key.
func (c *Config) set(s setting) error {
	if name, _, dotted := strings.Cut(s.key, "."); dotted {
		if kind, ok := blocks.KindByName(name); ok {
			c.blockOptions(kind) // walk hands out the options of this configuration only if it has some
		}
	}
	err := checkKey(s.key)
	walk(reflect.ValueOf(c).Elem(), "", func(key string, field reflect.Value) {
		if key == s.key {
			err = assign(field, s)
		}
	})
	return err
}

// assign parses a value into a field.
func assign(field reflect.Value, s setting) (err error) {
	target := field.Addr().Interface()
	if pattern, ok := target.(*models.Pattern); ok {
		if s.list != nil {
			*pattern, err = models.PatternOf(s.list)
		} else {
			*pattern, err = models.ParsePattern(s.text)
		}
		return err
	}
	if s.list != nil {
		return fmt.Errorf("%s %q: takes one value, not a list", s.key, s.list)
	}
	if text, ok := target.(*string); ok {
		*text = s.text
		return nil
	}
	wanted := ""
	switch target := target.(type) {
	case *int:
		*target, err = strconv.Atoi(s.text)
		wanted = "write a whole number such as 8"
	case *uint64:
		*target, err = strconv.ParseUint(s.text, 10, 64)
		wanted = "write a whole number from 0"
	case *float64:
		*target, err = strconv.ParseFloat(s.text, 64)
		wanted = "write a number such as 0.02"
		if math.IsNaN(*target) || math.IsInf(*target, 0) {
			err = strconv.ErrRange
		}
	case *bool:
		*target = s.text == "true"
		wanted = "write true or false"
		if s.text != "true" && s.text != "false" {
			err = strconv.ErrSyntax
		}
	default:
		return fmt.Errorf("%s: a field of type %s cannot be set by a key", s.key, field.Type())
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("%s %q: out of range; %s", s.key, s.text, wanted)
	case err != nil:
		return fmt.Errorf("%s %q: %s", s.key, s.text, wanted)
	case s.quoted:
		return fmt.Errorf("%s %q: this is text in quotes; %s", s.key, s.text, wanted)
	}
	return nil
}
