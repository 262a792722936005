// Package config makes one configuration of a model and its training from defaults, a YAML file and KEY=VALUE pairs,
// and explains every value of it.
//
// Owns: the flat keys of files and command line (read off the json tags of the structs they set), strict decoding with
// positions, the rule for depth beside pattern, and the derived values with their formulas.
// Never imports: data, lab or any graph library. Options and their checks live with the components.
// Read first: config.go for what a configuration is, load.go for the order in which its values come.
package config
