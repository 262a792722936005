package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Choice is one split of one configuration of a dataset, as parquet files.
type Choice struct {
	Dataset *Dataset
	Config  string
	Split   string
	Files   []File
	// Partial is set when the hub's conversion to parquet holds only the beginning of the split.
	Partial bool
	// Others are all configurations of the dataset and their splits.
	Others map[string][]string
}

// Parquet chooses a split. An empty configuration is the only one, or the default one; an empty split is "train", or the
// only one. A dataset that is not parquet itself is read as the hub has converted it.
func (c *Client) Parquet(ctx context.Context, id, revision, config, split string) (*Choice, error) {
	d, err := c.Dataset(ctx, id, revision)
	if err != nil {
		return nil, err
	}
	parts := d.parts()
	if len(parts) == 0 && revision == Main {
		licence := d.Licence
		if d, err = c.Dataset(ctx, id, converted); err != nil {
			return nil, fmt.Errorf("dataset %s is not parquet, and the hub's conversion of it is not to be had: %w", id, err)
		}
		d.Licence = licence
		parts = d.parts()
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("dataset %s has no parquet files at %s; choose another dataset or revision", id, revision)
	}
	return choose(d, parts, config, split)
}

// card is the head of a dataset's README, as far as it matters here.
type card struct {
	License json.RawMessage `json:"license"` // a text or a list of them
	Configs []cardConfig    `json:"configs"`
}

// cardConfig is a configuration in the head of a dataset's card.
type cardConfig struct {
	Name    string          `json:"config_name"`
	Default bool            `json:"default"`
	Dir     string          `json:"data_dir"`
	Files   json.RawMessage `json:"data_files"` // a pattern, patterns, or a list of split and path
}

// part is a split and its files.
type part struct {
	config, split string
	preferred     bool
	partial       bool
	files         []File
}

// parts finds the splits that are parquet: as the card says, or else by the names of files.
func (d *Dataset) parts() []part {
	var files []File
	for _, file := range d.Files {
		if strings.HasSuffix(file.Path, ".parquet") {
			files = append(files, file)
		}
	}
	if d.Revision == converted {
		return convertedParts(files)
	}
	if len(d.Configs) == 0 {
		return namedParts("default", "", files)
	}
	var parts []part
	for _, config := range d.Configs {
		found := config.parts(files)
		for i := range found {
			found[i].preferred = config.Default
		}
		parts = append(parts, found...)
	}
	return parts
}

func (c cardConfig) parts(files []File) []part {
	if len(c.Files) == 0 {
		return namedParts(c.Name, c.Dir, files)
	}
	var entries []struct {
		Split string          `json:"split"`
		Path  json.RawMessage `json:"path"`
	}
	if json.Unmarshal(c.Files, &entries) != nil { // patterns alone
		return namedParts(c.Name, "", c.match(files, texts(c.Files)))
	}
	var parts []part
	for _, entry := range entries {
		if matched := c.match(files, texts(entry.Path)); len(matched) > 0 {
			parts = append(parts, part{config: c.Name, split: entry.Split, files: matched})
		}
	}
	return parts
}

// match lists the files that a pattern fits, each once.
func (c cardConfig) match(files []File, patterns []string) []File {
	var matched []File
	for _, file := range files {
		if slices.ContainsFunc(patterns, func(pattern string) bool {
			fits, err := doublestar.Match(path.Join(c.Dir, pattern), file.Path)
			return err == nil && fits
		}) {
			matched = append(matched, file)
		}
	}
	return matched
}

// The names by which the hub tells splits apart: data/NAME-00000-of-00010.parquet, or a word between marks.
var (
	shardName  = regexp.MustCompile(`^(?:.*/)?data/(\w+(?:\.\w+)*)-\d{5}-of-\d{5}.*\.parquet$`)
	splitWords = []struct {
		split string
		word  *regexp.Regexp
	}{
		{"train", regexp.MustCompile(`(?i)(?:^|[^a-z])(?:train|training)(?:[^a-z]|$)`)},
		{"validation", regexp.MustCompile(`(?i)(?:^|[^a-z])(?:validation|valid|dev|val)(?:[^a-z]|$)`)},
		{"test", regexp.MustCompile(`(?i)(?:^|[^a-z])(?:test|testing|eval|evaluation)(?:[^a-z]|$)`)},
	}
)

// namedParts tells splits by the names of the files below dir; files of which none says more are all "train".
func namedParts(config, dir string, files []File) []part {
	bySplit := map[string][]File{}
	var plain []File
	for _, file := range files {
		if dir != "" && !strings.HasPrefix(file.Path, strings.TrimSuffix(dir, "/")+"/") {
			continue
		}
		if split := splitOf(file.Path); split != "" {
			bySplit[split] = append(bySplit[split], file)
		} else {
			plain = append(plain, file)
		}
	}
	if len(bySplit) == 0 && len(plain) > 0 {
		bySplit["train"] = plain
	}
	var parts []part
	for _, split := range slices.Sorted(maps.Keys(bySplit)) {
		parts = append(parts, part{config: config, split: split, files: bySplit[split]})
	}
	return parts
}

func splitOf(name string) string {
	if found := shardName.FindStringSubmatch(name); found != nil {
		return found[1]
	}
	for _, known := range splitWords {
		if known.word.MatchString(strings.TrimSuffix(name, ".parquet")) {
			return known.split
		}
	}
	return ""
}

// convertedParts reads CONFIG/SPLIT/0000.parquet, and partial-SPLIT where the hub stopped converting.
func convertedParts(files []File) []part {
	var parts []part
	for _, file := range files {
		names := strings.Split(file.Path, "/")
		if len(names) != 3 {
			continue
		}
		split, partial := strings.CutPrefix(names[1], "partial-")
		at := slices.IndexFunc(parts, func(p part) bool { return p.config == names[0] && p.split == split })
		if at < 0 {
			at = len(parts)
			parts = append(parts, part{config: names[0], split: split, partial: partial})
		}
		parts[at].files = append(parts[at].files, file)
	}
	return parts
}

func choose(d *Dataset, parts []part, config, split string) (*Choice, error) {
	others := map[string][]string{}
	for _, p := range parts {
		others[p.config] = append(others[p.config], p.split)
		if p.preferred && config == "" {
			config = p.config
		}
	}
	if config == "" {
		config = "default"
		if len(others) == 1 {
			config = parts[0].config
		}
	}
	splits := others[config]
	if splits == nil {
		return nil, fmt.Errorf("dataset %s has no configuration %q; it has %s: name one as hf:%s:CONFIG",
			d.ID, config, some(slices.Sorted(maps.Keys(others))), d.ID)
	}
	if split == "" {
		split = "train"
		if len(splits) == 1 {
			split = splits[0]
		}
	}
	for _, p := range parts {
		if p.config == config && p.split == split {
			return &Choice{Dataset: d, Config: config, Split: split, Files: p.files, Partial: p.partial, Others: others}, nil
		}
	}
	return nil, fmt.Errorf("dataset %s has no split %q in configuration %s; it has %s", d.ID, split, config, some(splits))
}

// some lists names, and of very many the first ones.
func some(names []string) string {
	const most = 20
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}
