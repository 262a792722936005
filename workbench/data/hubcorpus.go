package data

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"

	"tandem/workbench/data/hub"
)

// hubSpec is a spec that begins with hf:, taken apart.
type hubSpec struct {
	id, revision, config, split, columns string
}

// parseHub takes hf:OWNER/NAME[@REVISION][:CONFIG][:SPLIT][:COLUMN] apart. A part may be empty, which means its default:
// the main branch; the only configuration, or the one called default; the split train, or the only one; a usual column.
func parseHub(spec string) (hubSpec, error) {
	parts := strings.Split(strings.TrimPrefix(spec, "hf:"), ":")
	if len(parts) > 4 {
		return hubSpec{}, fmt.Errorf("%d parts after hf:; there are at most 4: hf:OWNER/NAME[:CONFIG][:SPLIT][:COLUMN]", len(parts))
	}
	parts = append(parts, "", "", "")
	id, revision, _ := strings.Cut(parts[0], "@")
	return hubSpec{id, cmp.Or(revision, hub.Main), parts[1], parts[2], parts[3]}, hub.CheckID(id)
}

// hubFiles are the parquet files of a split on the hub. They are downloaded as they are read, one ahead.
//
// Of a dataset only the split that is named is read, and SplitOf holds out documents of it for validation, as of any
// other corpus: what the dataset itself calls validation and test stays unseen.
type hubFiles struct {
	ctx    context.Context // of the downloads, for a corpus has none
	client *hub.Client
	choice *hub.Choice
}

func openHub(ctx context.Context, spec, plain string, preset *Preset, limit int64, o Options) (Corpus, error) {
	fail := func(err error) (Corpus, error) { return nil, fmt.Errorf("open corpus %q: %w", spec, err) }
	if preset != nil {
		var usual int64
		plain, usual, _ = cutLimit(preset.Spec)
		limit = cmp.Or(limit, usual)
	}
	h, err := parseHub(plain)
	if err != nil {
		return fail(err)
	}
	client := o.Hub
	if client == nil {
		if client, err = hub.FromEnvironment(); err != nil {
			return fail(err)
		}
		client.Say, client.Progress = o.Say, o.Progress
	}
	choice, err := client.Parquet(ctx, h.id, h.revision, h.config, h.split)
	if err != nil {
		return fail(err)
	}
	announce(client, choice, preset, limit)
	return &fileCorpus{name: spec, columns: h.columns, limit: limit, source: &hubFiles{ctx, client, choice}}, nil
}

// announce says under what licence a dataset is, before it is downloaded for the first time.
func announce(client *hub.Client, choice *hub.Choice, preset *Preset, limit int64) {
	if _, have := client.Cached(choice.Dataset, choice.Files[0]); have || client.Say == nil {
		return
	}
	d := choice.Dataset
	licence := cmp.Or(d.Licence, "unknown: see its page on the hub")
	if preset != nil {
		licence = fmt.Sprintf("%s; %s", preset.Licence, preset.URL)
	}
	client.Say(fmt.Sprintf("dataset %s, configuration %s, split %s: licence %s", d.ID, choice.Config, choice.Split, licence))
	if choice.Partial {
		client.Say(fmt.Sprintf("dataset %s: the hub has converted only the beginning of it to parquet, and only that is read", d.ID))
	}
	if preset != nil && limit > 0 {
		client.Say(fmt.Sprintf("dataset %s: only the first %d rows are read; %s[:N] reads N", d.ID, limit, preset.Name))
	}
}

// fingerprint goes by the sums of the files, so a new commit that leaves them alone changes nothing.
func (h *hubFiles) fingerprint() (string, error) {
	var text []byte
	for _, file := range h.choice.Files {
		text = fmt.Appendf(text, "%q %d %s%s\n", file.Path, file.Size, file.SHA256, file.GitSHA1)
	}
	return digest(text), nil
}

func (h *hubFiles) paths(limit int64) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(h.ctx)
		type outcome struct {
			path string
			err  error
		}
		start := func(file hub.File) chan outcome {
			done := make(chan outcome, 1)
			go func() {
				path, err := h.client.Download(ctx, h.choice.Dataset, file)
				done <- outcome{path, err}
			}()
			return done
		}
		next := start(h.choice.Files[0])
		defer func() {
			cancel()
			if next != nil {
				<-next // nothing is written after this returns
			}
		}()
		left := limit
		for i := range h.choice.Files {
			got := <-next
			next = nil
			if got.err == nil {
				got.err = h.take(got.path, &left)
			}
			enough := limit > 0 && left <= 0
			if got.err == nil && !enough && i+1 < len(h.choice.Files) {
				next = start(h.choice.Files[i+1])
			}
			if !yield(got.path, got.err) || got.err != nil || enough {
				return
			}
		}
	}
}

// take subtracts the rows of a file from left.
func (h *hubFiles) take(path string, left *int64) error {
	p, err := openParquet(path)
	if err != nil {
		return err
	}
	defer p.close()
	*left -= p.NumRows()
	return nil
}
