package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tandem/models"
	"tandem/workbench/checkpoint"
	"tandem/workbench/runlog"
)

// Exported is a copy of a run.
type Exported struct {
	Run        string `json:"run"`
	Folder     string `json:"folder"`
	Step       int    `json:"step"`
	Parameters int    `json:"parameters"`
	// Bytes is the size of the weights on disk.
	Bytes int64 `json:"bytes"`
}

// Export copies what a run needs to be used, and not what only its training needs, into a new run at a name under runs/ or a
// path: configuration, tokenizer and the newest valid checkpoint's weights. Matrices, embedding and head are in bfloat16,
// which a GPU computes in anyway; exact keeps them as they are. say is told of checkpoints that were skipped.
func Export(run *Run, name string, exact bool, say func(string)) (exported Exported, err error) {
	folder := RunFolder(name)
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return exported, fmt.Errorf("export %s: %s exists; give another name", run.Name, folder)
	}
	model, err := run.Model()
	if err != nil {
		return exported, err
	}
	snapshot, entry, skipped, err := checkpoint.LatestModel(run.Folder)
	for _, bad := range skipped {
		say("skipped checkpoint " + bad.String())
	}
	if err != nil {
		return exported, fmt.Errorf("export %s: %w", run.Name, err)
	}
	if _, err := weightsOf(model, snapshot.Model); err != nil {
		return exported, fmt.Errorf("export %s: %s: %w", run.Name, entry.Dir, err)
	}
	exported = Exported{Run: run.Name, Folder: folder, Step: entry.Step, Parameters: model.Parameters()}
	if !exact {
		narrow(snapshot.Model, model)
	}
	for _, tensor := range snapshot.Model {
		exported.Bytes += int64(len(tensor.Data))
	}
	defer func() {
		if err != nil {
			os.RemoveAll(folder) // it was not there before
		}
	}()
	if _, err := checkpoint.Save(folder, snapshot); err != nil {
		return exported, fmt.Errorf("export %s: %w", run.Name, err)
	}
	tok, err := run.Tokenizer()
	if err != nil {
		return exported, err
	}
	if err := tok.Save(filepath.Join(folder, TokenizerFile)); err != nil {
		return exported, err
	}
	info := run.Info
	info.Name = filepath.Base(folder)
	return exported, runlog.WriteRun(folder, info)
}

// narrow puts the large weights in bfloat16.
func narrow(saved []checkpoint.Tensor, model *models.Model) {
	large := map[string]bool{}
	for _, weight := range model.Weights() {
		large[weight.Name] = slices.Contains([]models.Group{models.GroupMatrix, models.GroupEmbedding, models.GroupHead}, weight.Group)
	}
	for i, tensor := range saved {
		if large[tensor.Name] {
			saved[i] = tensor.Narrowed()
		}
	}
}
