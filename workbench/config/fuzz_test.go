package config

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzYAML feeds any text to the decoder: it gives settings or one line of error, and settings give a configuration that
// survives JSON, or one line of error.
func FuzzYAML(f *testing.F) {
	for _, name := range Names() {
		named, err := open(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(named.data)
	}
	for _, seed := range []string{"", "a", "- a", "pattern: [T, [", "? [a]: b", "&a steps: *a", "<<: *a", "!!int steps: !!x 5", "depth: 3\n---\n",
		"mamba: {state: 5, mlp: true}", "'': ''", "steps: |\n  5", "\ufeffsteps: 5", "{", "pattern: (((T2)3)4)5", "%YAML 1.2\n---\n: x", "depth: -1", "\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		oneLine := func(err error) {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("an error of several lines: %q", err)
			}
		}
		settings, err := parseYAML("fuzz.yaml", data)
		if err != nil {
			oneLine(err)
			return
		}
		c := Default()
		if err := c.apply(settings); err != nil {
			oneLine(err)
			return
		}
		if err := c.Validate(); err != nil {
			oneLine(err)
			return
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var read Config
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	})
}
