package cli

import (
	"encoding/json"
	"io"
	"strings"

	"tandem/workbench/config"
)

// printJSON writes one indented value.
func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// configNames lists the named configurations.
func configNames() string { return strings.Join(config.Names(), ", ") }
