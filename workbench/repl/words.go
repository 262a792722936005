package repl

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// quotedCut cuts a text at every rune that separates, but not within double quotes, which stay. There are no escapes, and
// other quotes are letters, so that an apostrophe needs no care.
func quotedCut(text string, separates func(rune) bool) (parts []string, err error) {
	begin, opened := 0, -1
	for at, r := range text {
		switch {
		case r == '"' && opened < 0:
			opened = at
		case r == '"':
			opened = -1
		case opened < 0 && separates(r):
			parts = append(parts, text[begin:at])
			begin = at + utf8.RuneLen(r)
		}
	}
	if opened >= 0 {
		return nil, fmt.Errorf("column %d: the quote that begins here does not end: add a second \"", utf8.RuneCountInString(text[:opened])+1)
	}
	return append(parts, text[begin:]), nil
}

// Commands cuts a text at its semicolons into lines.
func Commands(text string) ([]string, error) {
	return quotedCut(text, func(r rune) bool { return r == ';' })
}

// words are those of a line; double quotes keep blanks within one, and an empty one.
func words(line string) ([]string, error) {
	parts, err := quotedCut(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '\n' })
	var found []string
	for _, part := range parts {
		if part != "" {
			found = append(found, strings.ReplaceAll(part, `"`, ""))
		}
	}
	return found, err
}

// arguments are what follows a verb.
type arguments struct {
	// text is all of it, as it was typed; words are those that are no flags.
	text  string
	words []string
	// flags are the verb's own that were given, and overrides the keys of the configuration, as KEY=VALUE.
	flags     map[string]string
	overrides []string
}

func (a arguments) joined() string { return strings.Join(a.words, " ") }

// has says whether a flag was given.
func (a arguments) has(flag string) bool { _, given := a.flags[flag]; return given }

// parse reads what follows a verb.
func (v verb) parse(text string) (a arguments, err error) {
	a = arguments{text: strings.TrimSpace(text), flags: map[string]string{}}
	if v.verbatim {
		return a, nil
	}
	all, err := words(text)
	if err != nil {
		return a, err
	}
	for len(all) > 0 {
		name, isFlag := strings.CutPrefix(all[0], "--")
		word := all[0]
		all = all[1:]
		if !isFlag {
			a.words = append(a.words, word)
			continue
		}
		name, value, given := strings.Cut(name, "=")
		takes, own := v.flag(name)
		switch {
		case !own && !v.keys:
			return a, fmt.Errorf("unknown flag --%s; %s", name, v.flagList())
		case own && !takes && given:
			return a, fmt.Errorf("--%s takes no value", name)
		case (takes || !own) && !given && len(all) == 0:
			return a, fmt.Errorf("--%s needs a value", name)
		case (takes || !own) && !given:
			value, all = all[0], all[1:]
		}
		if own {
			a.flags[name] = value
		} else {
			a.overrides = append(a.overrides, name+"="+value)
		}
	}
	if limit := v.limit; limit >= 0 && len(a.words) > limit {
		return a, fmt.Errorf("unexpected %q; write: %s %s", a.words[limit], v.name, v.usage)
	}
	return a, nil
}

// flag finds one of the verb's own flags, and says whether it takes a value.
func (v verb) flag(name string) (takesValue, ok bool) {
	for _, known := range v.flags {
		if bare, takes := strings.CutSuffix(known, "="); bare == name {
			return takes, true
		}
	}
	return false, false
}

func (v verb) flagList() string {
	if len(v.flags) == 0 {
		return v.name + " takes none"
	}
	var names []string
	for _, flag := range v.flags {
		names = append(names, "--"+strings.TrimSuffix(flag, "="))
	}
	return v.name + " takes " + strings.Join(names, ", ")
}
