// Package configs embeds the named configurations.
//
// Owns: one small YAML file per named model, which holds only what differs from the defaults, and the README that says
// which to use when.
// Never imports: anything; workbench/config reads the files.
// Read first: README.md.
package configs

import "embed"

// Files holds every NAME.yaml.
//
//go:embed *.yaml
var Files embed.FS
