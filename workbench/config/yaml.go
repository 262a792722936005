package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"tandem/blocks"
)

// yamlFile walks the syntax tree of one file, which it calls label in errors.
type yamlFile struct {
	label    string
	settings []setting
}

// parseYAML reads one mapping of keys to values, in the file's order. Keys are known ones, each given once; values are
// scalars or lists of them. What the values mean is checked when they are set.
func parseYAML(label string, data []byte) (settings []setting, err error) {
	f := &yamlFile{label: label}
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("%s: this is not UTF-8 text; give a YAML file", f.label)
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // the mark that some systems begin files with
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, f.syntaxError(err)
	}
	for i, document := range tree.Docs {
		if i > 0 && document.Body != nil {
			return nil, f.fail(document.Body, "a second document begins here; a configuration is one")
		}
		if err := f.document(document.Body); err != nil {
			return nil, err
		}
	}
	return f.settings, nil
}

func (f *yamlFile) document(body ast.Node) error {
	switch body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil
	}
	entries, ok := mapping(body)
	if !ok {
		return f.fail(body, "write lines of KEY: VALUE")
	}
	return f.entries(entries, "")
}

// mapping lists the entries of a mapping, which has two forms in the tree.
func mapping(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, true
	}
	return nil, false
}

// entries reads keys and values; prefix is the block kind whose options they are, with a dot.
func (f *yamlFile) entries(entries []*ast.MappingValueNode, prefix string) error {
	for _, entry := range entries {
		name := entry.Key.GetToken().Value
		if _, ok := blocks.KindByName(name); ok && prefix == "" {
			if options, ok := mapping(entry.Value); ok {
				if err := f.entries(options, name+"."); err != nil {
					return err
				}
				continue
			}
		}
		key := prefix + name
		if err := checkKey(key); err != nil {
			return f.fail(entry.Key, "%w", err)
		}
		if slices.ContainsFunc(f.settings, func(s setting) bool { return s.key == key }) {
			return f.fail(entry.Key, "%s: it is given twice; leave one out", key)
		}
		value, err := f.value(key, entry.Value)
		if err != nil {
			return err
		}
		f.settings = append(f.settings, value)
	}
	return nil
}

// value reads a scalar or a list of scalars.
func (f *yamlFile) value(key string, node ast.Node) (setting, error) {
	s := setting{key: key, at: f.position(node)}
	sequence, ok := node.(*ast.SequenceNode)
	if !ok {
		s.text, s.quoted, ok = scalar(node)
	}
	if sequence != nil {
		s.list = []string{}
		for _, entry := range sequence.Values {
			text, _, isScalar := scalar(entry)
			if !isScalar {
				return s, f.fail(entry, "%s: write single values in the list", key)
			}
			s.list = append(s.list, text)
		}
	}
	if _, null := node.(*ast.NullNode); null || node == nil {
		return s, f.fail(node, "%s: it has no value; give one, or leave the key out for its default", key)
	}
	if !ok {
		return s, f.fail(node, "%s: write one plain value here; mappings, anchors, aliases and tags have no meaning", key)
	}
	return s, nil
}

// scalar is the text of a single value as it was written, without quotes.
func scalar(node ast.Node) (text string, quoted, ok bool) {
	switch node := node.(type) {
	case *ast.LiteralNode:
		return node.Value.Value, true, true
	case *ast.StringNode:
		text, written := node.Value, node.GetToken()
		if whole := strings.TrimSpace(written.Origin); strings.ReplaceAll(whole, "\t", "") == text {
			text = whole // the parser drops tabs
		}
		return text, written.Type == token.SingleQuoteType || written.Type == token.DoubleQuoteType, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, false, true
	}
	return "", false, false
}

// position is the place of a node as a prefix of errors: "file:line:column: ".
func (f *yamlFile) position(node ast.Node) string {
	if node == nil {
		return f.label + ": "
	}
	return f.tokenPosition(node.GetToken())
}

func (f *yamlFile) tokenPosition(t *token.Token) string {
	if t == nil || t.Position == nil {
		return f.label + ": "
	}
	return fmt.Sprintf("%s:%d:%d: ", f.label, t.Position.Line, t.Position.Column)
}

func (f *yamlFile) fail(node ast.Node, format string, arguments ...any) error {
	return fmt.Errorf("%s%w", f.position(node), fmt.Errorf(format, arguments...))
}

// syntaxError keeps the message and the place of the parser's error and drops its drawing of the file.
func (f *yamlFile) syntaxError(err error) error {
	var located yaml.Error
	if !errors.As(err, &located) {
		return fmt.Errorf("%s: %s", f.label, firstLine(err.Error()))
	}
	return fmt.Errorf("%sthis is not YAML: %s", f.tokenPosition(located.GetToken()), firstLine(located.GetMessage()))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
