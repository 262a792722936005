package repl

import (
	"strings"

	"tandem/workbench/lab"
)

// settings are what a training begins with: a configuration, and what was changed in it.
type settings struct {
	// name is the configuration's, or its file; "" is tiny's.
	name string
	// run, if there is one, is the run whose configuration it is instead.
	run *lab.Run
	// changes are KEY=VALUE, each key once.
	changes []string
}

// config makes the configuration, with more changes for this once.
func (s settings) config(more ...string) (*lab.Config, error) {
	s = s.with(more...)
	if s.run == nil {
		return lab.LoadConfig(s.name, s.changes)
	}
	c := *s.run.Info.Config
	c.Run = "" // a training of its own
	if err := c.Override(s.changes); err != nil {
		return nil, err
	}
	return &c, nil
}

// with changes values. Of pattern and depth, which say the same, the later counts.
func (s settings) with(changes ...string) settings {
	s.changes = append([]string{}, s.changes...)
	for _, change := range changes {
		key, _, _ := strings.Cut(change, "=")
		var kept []string
		for _, old := range s.changes {
			oldKey, _, _ := strings.Cut(old, "=")
			if oldKey != key && !(isShape(key) && isShape(oldKey)) {
				kept = append(kept, old)
			}
		}
		s.changes = append(kept, change)
	}
	return s
}

func isShape(key string) bool { return key == "pattern" || key == "depth" }
