package probe

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Settings of a comparison. Zero values mean the default.
type Settings struct {
	// Patterns are compared; the first one sets the size of all. None is T2, M2 and TM.
	Patterns []string `json:"patterns"`
	// Probes by name; none is all.
	Probes []string `json:"probes"`
	// Width of the first pattern; 0 is 64.
	Width int `json:"width"`
	// Length of the longest sequences trained on; 0 is 64.
	Length int `json:"length"`
	// Lengths measured; none is Length and its half, double and fourfold.
	Lengths []int `json:"lengths"`
	// Steps of each training, on Batch sequences each; 0 is 1000 and 32.
	Steps int `json:"steps"`
	Batch int `json:"batch"`
	// Examples measured at each length; 0 is 256.
	Examples int `json:"examples"`
	// Seeds is how many trainings of each model there are, with seeds from 1 on; 0 is 1.
	Seeds int `json:"seeds"`
}

// Resolved fills in every default.
func (s Settings) Resolved() Settings {
	for field, value := range map[*int]int{&s.Width: 64, &s.Length: 64, &s.Steps: 1000, &s.Batch: 32, &s.Examples: 256, &s.Seeds: 1} {
		if *field == 0 {
			*field = value
		}
	}
	if len(s.Patterns) == 0 {
		s.Patterns = []string{"T2", "M2", "TM"}
	}
	if len(s.Probes) == 0 {
		for _, p := range Probes {
			s.Probes = append(s.Probes, p.Name)
		}
	}
	if len(s.Lengths) == 0 {
		s.Lengths = []int{s.Length / 2, s.Length, 2 * s.Length, 4 * s.Length}
	}
	return s
}

// Validate reports the first setting that cannot be.
func (s Settings) Validate() error {
	r := s.Resolved()
	for name, value := range map[string]int{"width": r.Width, "length": r.Length, "steps": r.Steps, "batch": r.Batch, "examples": r.Examples, "seeds": r.Seeds} {
		if value < 1 || value > 1<<30 {
			return fmt.Errorf("probes: %s %d: must lie between 1 and %d", name, value, 1<<30)
		}
	}
	found, err := Find(r.Probes)
	if err != nil {
		return err
	}
	for _, p := range found {
		for _, length := range append([]int{r.Length}, r.Lengths...) {
			if err := p.Check(length); err != nil {
				return err
			}
		}
	}
	return nil
}

// Point is the accuracy of one trained model at one length.
type Point struct {
	Probe      string          `json:"probe"`
	Pattern    string          `json:"pattern"`
	Width      int             `json:"width"`
	Parameters int             `json:"parameters"`
	Seed       uint64          `json:"seed"`
	Length     int             `json:"length"`
	Accuracy   float64         `json:"accuracy"`
	Right      int             `json:"right"`
	All        int             `json:"all"`
	ByDepth    [quarters]Share `json:"by_depth"`
	// Loss is the last one of training, in nats a target; Seconds the training's time.
	Loss    float64 `json:"loss"`
	Seconds float64 `json:"seconds"`
}

// Study is a comparison.
type Study struct {
	Settings Settings `json:"settings"`
	Backend  string   `json:"backend"`
	Compute  string   `json:"compute"`
	Points   []Point  `json:"points"`
}

// The files of a study's folder, which its caller gives a picture of each probe beside, NAME.svg.
const (
	StudyFile  = "study.json"
	studyTable = "study.md"
)

// Save writes the study, as JSON and as a table, to a folder.
func (s *Study) Save(folder string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("save probes: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("save probes: %w", err)
	}
	for name, text := range map[string]string{StudyFile: string(text) + "\n", studyTable: s.Markdown()} {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path+".new", []byte(text), 0o644); err != nil {
			return fmt.Errorf("save probes: %w", err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			return fmt.Errorf("save probes: %w", err)
		}
	}
	return nil
}

// Curve is the mean accuracy of a pattern on a probe over the lengths that were measured.
func (s *Study) Curve(name, pattern string) (lengths, accuracies []float64) {
	for _, length := range s.lengths() {
		if points := s.at(name, pattern, length); len(points) > 0 {
			mean, _, _ := spread(points)
			lengths, accuracies = append(lengths, float64(length)), append(accuracies, mean)
		}
	}
	return lengths, accuracies
}

// Heading names the columns of Rows for one probe.
func (s *Study) Heading() []string {
	heading := []string{"pattern", "width", "parameters"}
	for _, length := range s.lengths() {
		mark := ""
		if length == s.Settings.Length {
			mark = " (trained)"
		}
		heading = append(heading, fmt.Sprint(length)+mark)
	}
	return heading
}

func (s *Study) lengths() []int {
	lengths := slices.Clone(s.Settings.Lengths)
	slices.Sort(lengths)
	return slices.Compact(lengths)
}

// Rows are the accuracies of one probe: a row a pattern, a column a length. Of several seeds the mean, and from the lowest
// to the highest.
func (s *Study) Rows(name string) [][]string {
	var rows [][]string
	for _, pattern := range s.Settings.Patterns {
		row := []string{pattern, "-", "-"}
		for _, length := range s.lengths() {
			points := s.at(name, pattern, length)
			cell := "-"
			if len(points) > 0 {
				row[1], row[2] = fmt.Sprint(points[0].Width), fmt.Sprint(points[0].Parameters)
				mean, low, high := spread(points)
				if cell = fmt.Sprintf("%.3f", mean); len(points) > 1 {
					cell += fmt.Sprintf(" (%.3f to %.3f)", low, high)
				}
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

func (s *Study) at(name, pattern string, length int) (points []Point) {
	for _, p := range s.Points {
		if p.Probe == name && p.Pattern == pattern && p.Length == length {
			points = append(points, p)
		}
	}
	return points
}

func spread(points []Point) (mean, low, high float64) {
	low = 1
	for _, p := range points {
		mean += p.Accuracy / float64(len(points))
		low, high = min(low, p.Accuracy), max(high, p.Accuracy)
	}
	return mean, low, high
}

// Markdown is the comparison for people.
func (s *Study) Markdown() string {
	var out strings.Builder
	o := s.Settings
	fmt.Fprintf(&out, "# Probes\n\nAccuracy on targets, by the length of the sequences. Trained for %d steps of %d sequences, every other one of %d tokens and the rest shorter, with %d seed(s); %d sequences measured at each length. Backend %s, products in %s. Models of a probe are as equal in parameters as their widths allow; heads have 64 to 120 channels, or the whole width where that is less.\n",
		o.Steps, o.Batch, o.Length, o.Seeds, o.Examples, s.Backend, s.Compute)
	for _, p := range Probes {
		if !slices.Contains(o.Probes, p.Name) {
			continue
		}
		fmt.Fprintf(&out, "\n## %s\n\n%s. Guessing gives %.3f.\n\n![%s](%s.svg)\n\n", p.Name, strings.ToUpper(p.About[:1])+p.About[1:], p.Chance, p.Name, p.Name)
		heading := s.Heading()
		out.WriteString("| " + strings.Join(heading, " | ") + " |\n" + strings.Repeat("|---", len(heading)) + "|\n")
		for _, row := range s.Rows(p.Name) {
			out.WriteString("| " + strings.Join(row, " | ") + " |\n")
		}
		if p.Name == "needle" {
			out.WriteString(s.depths(p.Name))
		}
	}
	return out.String()
}

// depths is a table of accuracy by where the answer stood.
func (s *Study) depths(name string) string {
	var out strings.Builder
	out.WriteString("\nBy the quarter of the sequence that held the answer:\n\n| pattern | length | first | second | third | last |\n|---|---|---|---|---|---|\n")
	for _, pattern := range s.Settings.Patterns {
		for _, length := range s.lengths() {
			var sums [quarters]Share
			for _, point := range s.at(name, pattern, length) {
				for i, share := range point.ByDepth {
					sums[i].Right, sums[i].All = sums[i].Right+share.Right, sums[i].All+share.All
				}
			}
			fmt.Fprintf(&out, "| %s | %d |", pattern, length)
			for _, share := range sums {
				cell := " - |"
				if share.All > 0 {
					cell = fmt.Sprintf(" %.3f |", float64(share.Right)/float64(share.All))
				}
				out.WriteString(cell)
			}
			out.WriteString("\n")
		}
	}
	return out.String()
}
