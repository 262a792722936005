package lab

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"tandem/models"
)

// hostFactor is the least that the Go backend takes, over the prediction for 2-byte activations: numbers of 4 bytes, and many
// at once. Small models took five times the prediction.
const hostFactor = 2

// FitsHost refuses, before anything is allocated, a training that this machine has no memory for: where it runs out, the
// process just ends.
func FitsHost(model *models.Model, training models.Training) error {
	free, ok := FreeMemory()
	if !ok {
		return nil
	}
	takes := hostFactor * model.TrainingMemory(training).Bytes
	if takes <= free {
		return nil
	}
	remedy := "not even --batch 1 fits: take fewer layers, a smaller vocabulary or a shorter context"
	if most := model.LargestBatch(training, free/hostFactor); most > 0 {
		remedy = fmt.Sprintf("--batch %d may fit", most)
	}
	return fmt.Errorf("%s with batch %d and context %d takes at least %s in float32, and this machine has %s free; %s",
		model.Config.Pattern, training.Batch, model.Config.Context, Size(takes), Size(free), remedy)
}

// FreeMemory is what programs may still take, where the system tells: on Linux.
func FreeMemory() (bytes int64, ok bool) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "MemAvailable:"); found {
			var kilobytes int64
			_, err := fmt.Sscanf(rest, "%d kB", &kilobytes)
			return kilobytes << 10, err == nil
		}
	}
	return 0, false
}
