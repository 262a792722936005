package lab

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tandem/workbench/data"
)

// Preset is a name for a corpus on the hub, DataDescription what can be told of a corpus, Download how far one file is.
type (
	Preset          = data.Preset
	DataDescription = data.Description
	Download        = data.Download
)

// Presets lists the corpora that have a name of their own.
func Presets() []Preset { return data.Presets }

// ShowData looks at a corpus, or at each part of a mixture; first documents of it are shown.
func ShowData(ctx context.Context, spec string, first int, say func(string)) ([]DataDescription, error) {
	return data.Describe(ctx, spec, first, data.Options{Say: say, Progress: downloads(say)})
}

// FetchData downloads the files of a corpus that are not here yet, and tells how many it has.
func FetchData(ctx context.Context, spec string, say func(string), progress func(Download)) (int, error) {
	return data.Fetch(ctx, spec, data.Options{Say: say, Progress: progress})
}

// patience is the time between two lines about something that takes long.
const patience = 5 * time.Second

// seldom gives a function that is true once in a while, and not at first.
func seldom() func() bool {
	last := time.Now()
	return func() bool {
		if time.Since(last) < patience {
			return false
		}
		last = time.Now()
		return true
	}
}

// downloads says now and then how far a download is.
func downloads(say func(string)) func(Download) {
	var speaking sync.Mutex
	now := seldom()
	return func(d Download) {
		speaking.Lock()
		defer speaking.Unlock()
		if now() {
			say(fmt.Sprintf("downloading %s of %s: %.1f of %.1f MB", d.File, d.Dataset, megabytes(d.Done), megabytes(d.Size)))
		}
	}
}
