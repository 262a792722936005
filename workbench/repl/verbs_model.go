package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/workbench/lab"
)

// describe says in a line what the settings are.
func (p *Prompt) describe(out io.Writer) error {
	c, err := p.settings.config()
	if err != nil {
		return err
	}
	account, err := lab.Params(c)
	if err != nil {
		return err
	}
	model := c.Model.Resolved()
	fmt.Fprintf(out, "%s: %d layers, width %d, context %d, vocabulary %s; %s parameters\n", account.Pattern, model.Pattern.Depth(), model.Width,
		model.Context, lab.Grouped(model.Vocab), lab.Grouped(account.Parameters))
	return nil
}

// change takes over changes if the settings are then valid.
func (p *Prompt) change(changes ...string) error {
	changed := p.settings.with(changes...)
	if _, err := changed.config(); err != nil {
		return err
	}
	p.settings = changed
	return nil
}

func (p *Prompt) pattern(_ context.Context, a arguments) error {
	if pattern := a.joined(); pattern != "" {
		if err := p.change("pattern=" + pattern); err != nil {
			if drawing := lab.PointAt(pattern, err); drawing != "" {
				p.note(drawing)
			}
			return err
		}
	}
	return p.describe(p.out)
}

func (p *Prompt) set(ctx context.Context, a arguments) error {
	switch len(a.words) {
	case 0:
		for _, change := range p.settings.changes {
			key, value, _ := strings.Cut(change, "=")
			fmt.Fprintln(p.out, key, value)
		}
		if len(p.settings.changes) == 0 {
			p.note("nothing was changed; config lists all settings")
		}
		return nil
	case 1:
		return p.showSetting(a.words[0])
	}
	key := a.words[0]
	if key == "pattern" {
		return p.pattern(ctx, arguments{words: a.words[1:]})
	}
	if err := p.change(key + "=" + strings.Join(a.words[1:], " ")); err != nil {
		return err
	}
	return p.showSetting(key)
}

func (p *Prompt) showSetting(key string) error {
	c, err := p.settings.config()
	if err != nil {
		return err
	}
	for _, derived := range c.Derived() {
		if derived.Key == key {
			fmt.Fprintf(p.out, "%s %v\n", key, derived.Value)
			return nil
		}
	}
	return fmt.Errorf("set: there is no setting %q; %sconfig lists them", key, lab.DidYouMean(key, lab.ConfigKeys()))
}

// configured is the configuration that a verb names, else the settings, with its flags.
func (p *Prompt) configured(a arguments) (*lab.Config, error) {
	if len(a.words) > 0 {
		return lab.LoadConfig(a.words[0], a.overrides)
	}
	return p.settings.config(a.overrides...)
}

func (p *Prompt) config(_ context.Context, a arguments) error {
	c, err := p.configured(a)
	if err != nil {
		return err
	}
	return WriteConfig(p.out, c)
}

func (p *Prompt) params(_ context.Context, a arguments) error {
	c, err := p.configured(a)
	if err != nil {
		return err
	}
	account, err := lab.Params(c)
	if err != nil {
		return err
	}
	return WriteParams(p.out, account)
}

func (p *Prompt) memory(_ context.Context, a arguments) error {
	c, err := p.configured(a)
	if err != nil {
		return err
	}
	var gpu *lab.GPU
	if a.has("gpu") {
		found, err := lab.FindGPU(a.flags["gpu"])
		if err != nil {
			return err
		}
		gpu = &found
	}
	report, err := lab.Memory(c, gpu)
	if err != nil && !errors.Is(err, lab.ErrTooSmall) {
		return err
	}
	return errors.Join(WriteMemory(p.out, report), err)
}

// isFile says whether a name is that of a configuration's file.
func isFile(name string) bool { return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(name)) }

func (p *Prompt) save(_ context.Context, a arguments) error {
	file := a.joined()
	if !isFile(file) {
		return fmt.Errorf("save %q: the settings are saved as a configuration; give a name that ends in .yaml", file)
	}
	c, err := p.settings.config()
	if err != nil {
		return err
	}
	text, err := c.YAML()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("save the settings: %w", err)
	}
	fmt.Fprintf(p.out, "the settings are in %s; load it here, or train it with: workbench train %s\n", file, file)
	return nil
}

func (p *Prompt) load(_ context.Context, a arguments) error {
	name := a.joined()
	if name == "" {
		return fmt.Errorf("load: name a run or a configuration: %s, or a .yaml file", strings.Join(runsAndConfigs(), ", "))
	}
	if isFile(name) || slices.Contains(lab.ConfigNames(), name) {
		if _, err := lab.LoadConfig(name, nil); err != nil {
			return err
		}
		p.settings, p.run = settings{name: name}, ""
		return p.describe(p.out)
	}
	run, err := lab.OpenRun(name)
	if err != nil {
		return fmt.Errorf("%w; the configurations are %s", err, strings.Join(lab.ConfigNames(), ", "))
	}
	p.settings = settings{run: run}
	p.setRun(run.Folder)
	return p.describe(p.out)
}
