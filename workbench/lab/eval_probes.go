package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"tandem/models"
	"tandem/workbench/eval/probe"
	"tandem/workbench/plot"
	"tandem/workbench/train"
	"tandem/xla"
)

// The words of probes.
type (
	ProbeSettings = probe.Settings
	ProbeStudy    = probe.Study
)

// ProbeNames lists the probes for messages.
func ProbeNames() string { return probe.Names() }

// RunProbes trains a small model of each pattern and seed on each probe, measures it at several lengths, and writes the
// study to a new folder, after each training anew. say is told what was measured. If ctx ends, the study so far is
// returned with ErrInterrupted.
func RunProbes(ctx context.Context, s ProbeSettings, backend, folder string, say func(string)) (*ProbeStudy, error) {
	s = s.Resolved()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	patterns := make([]models.Pattern, len(s.Patterns))
	for i, text := range s.Patterns {
		pattern, err := models.ParsePattern(text)
		if err != nil {
			return nil, err
		}
		patterns[i], s.Patterns[i] = pattern, pattern.String()
	}
	if _, err := os.Stat(filepath.Join(folder, probe.StudyFile)); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("probes: %s holds a study already; choose another --out FOLDER", folder)
	}
	found, err := probe.Find(s.Probes)
	if err != nil {
		return nil, err
	}
	device, err := xla.Open(backend)
	if err != nil {
		return nil, err
	}
	defer device.Finalize()
	study := &ProbeStudy{Settings: s, Backend: device.Kind, Compute: strings.ToLower(device.Compute.String())}
	trained := 0
	for _, p := range found {
		all, err := p.Equal(patterns, s.Width, s.Length)
		if err != nil {
			return nil, err
		}
		for _, model := range all {
			for seed := range uint64(s.Seeds) {
				points, err := trainProbe(ctx, device, p, model, s, seed+1)
				if ctx.Err() != nil {
					return study, Interruption(fmt.Sprintf("probes: interrupted after %d of %d trainings; each one finished is in %s", trained, len(found)*len(all)*s.Seeds, folder))
				}
				if err != nil {
					return study, err
				}
				trained++
				study.Points = append(study.Points, points...)
				say(describePoints(points))
				if err := saveStudy(study, p, folder); err != nil {
					return study, err
				}
			}
		}
	}
	return study, nil
}

// saveStudy writes the study so far, and draws the probe that it is at.
func saveStudy(study *ProbeStudy, p probe.Probe, folder string) error {
	if err := study.Save(folder); err != nil {
		return err
	}
	picture := plot.Curves{Title: p.Name + ": accuracy over length", X: "tokens", Y: "accuracy", Doubling: true}
	var ends []float64
	for _, pattern := range study.Settings.Patterns {
		lengths, accuracies := study.Curve(p.Name, pattern)
		picture.Lines = append(picture.Lines, plot.Line{Name: pattern, X: lengths, Y: accuracies, Points: true})
		if len(lengths) > 0 {
			ends = []float64{lengths[0], lengths[len(lengths)-1]}
		}
	}
	picture.Lines = append(picture.Lines, plot.Line{Name: "guessing", X: ends, Y: []float64{p.Chance, p.Chance}})
	return plot.Save(filepath.Join(folder, p.Name+".svg"), picture)
}

func describePoints(points []probe.Point) string {
	first := points[0]
	line := fmt.Sprintf("%s %s: width %d, %d parameters, loss %.3f after %.0f s; accuracy", first.Probe, first.Pattern, first.Width, first.Parameters, first.Loss, first.Seconds)
	for _, p := range points {
		line += fmt.Sprintf(" %.3f at %d", p.Accuracy, p.Length)
	}
	return line
}

// trainProbe trains one model on one probe and measures it.
func trainProbe(ctx context.Context, device *xla.Device, p probe.Probe, model *models.Model, s ProbeSettings, seed uint64) ([]probe.Point, error) {
	started := time.Now()
	trainer, err := train.New(device, model, train.Options{Steps: s.Steps, Batch: s.Batch, Seed: seed})
	if err != nil {
		return nil, err
	}
	defer trainer.Close()
	loss := 0.0
	for step := range s.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		tokens, targets := p.Lesson(seed, uint64(step), s.Batch, s.Length)
		batch := train.Batch{Tokens: tokens, Targets: targets, Documents: make([]int32, len(tokens))}
		if err := trainer.Step([]train.Batch{batch}); err != nil {
			return nil, err
		}
		if (step+1)%50 == 0 || step+1 == s.Steps {
			metrics, err := trainer.Flush()
			if err != nil {
				return nil, err
			}
			loss = metrics[len(metrics)-1].Loss
		}
	}
	return measureProbe(ctx, device, p, model, trainer.Weights(), s, probe.Point{
		Probe: p.Name, Pattern: model.Config.Pattern.String(), Width: model.Config.Width, Parameters: model.Parameters(), Seed: seed,
		Loss: loss, Seconds: time.Since(started).Seconds(),
	})
}

// measureProbe measures at each length, with a model of the same weights and a context for it.
func measureProbe(ctx context.Context, device *xla.Device, p probe.Probe, model *models.Model, weights []*tensors.Tensor, s ProbeSettings, point probe.Point) ([]probe.Point, error) {
	var points []probe.Point
	for _, length := range s.Lengths {
		config := model.Config
		config.Context = length
		longer, err := models.New(config)
		if err != nil {
			return nil, err
		}
		a, err := p.Measure(ctx, device, longer, weights, length, s.Examples)
		if err != nil {
			return nil, err
		}
		point.Length, point.Right, point.All, point.ByDepth = length, a.Right, a.All, a.ByDepth
		point.Accuracy = float64(a.Right) / float64(max(1, a.All))
		points = append(points, point)
	}
	return points, nil
}
