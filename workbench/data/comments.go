package data

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"unicode"
)

// fileComments makes the document of a Go source file. In the order of the file,
// with blank lines between them, it holds:
//
//   - "package NAME", and the package comment under it if there is one;
//   - every comment on a top-level function, method, type, constant, variable
//     or group of them, exported or not, under the first line of its declaration;
//   - every other comment that isProse.
//
// Comment marks, directives, build constraints and licences are left out. The
// document is empty when there is no comment or the file is generated.
func fileComments(path string) (string, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read corpus: %w", err)
	}
	// A file with an error in it still has comments before it: take what the parser gives.
	files := token.NewFileSet()
	file, _ := parser.ParseFile(files, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if file == nil || file.Name == nil || ast.IsGenerated(file) {
		return "", nil
	}
	header := files.File(file.FileStart)
	if header == nil {
		return "", nil
	}
	declared := declarations(file)
	var out strings.Builder
	fmt.Fprintf(&out, "package %s\n", file.Name.Name)
	empty := out.Len()
	for _, group := range file.Comments {
		text := commentText(group)
		span, isDoc := declared[group]
		switch {
		case text == "" || group.Pos() < file.Package && isLegal(text):
		case isDoc:
			start, end := header.Offset(span.start), header.Offset(span.end)
			fmt.Fprintf(&out, "\n%s\n\n%s\n", firstLine(source[start:end]), text)
		case group == file.Doc || isProse(text):
			fmt.Fprintf(&out, "\n%s\n", text)
		}
	}
	if out.Len() == empty {
		return "", nil
	}
	return out.String(), nil
}

// commentText is a comment without its marks. The file may end in the mark that opens one, which ast cannot take off.
func commentText(group *ast.CommentGroup) string {
	last := group.List[len(group.List)-1].Text
	if strings.HasPrefix(last, "/*") && len(last) < len("/**/") {
		return ""
	}
	return strings.TrimSpace(group.Text())
}

// fileSource makes a document of a whole Go source file; it is empty where the file is generated or no Go.
func fileSource(path string) (string, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read corpus: %w", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.PackageClauseOnly|parser.ParseComments)
	if err != nil || ast.IsGenerated(file) {
		return "", nil
	}
	return string(source), nil
}

type span struct{ start, end token.Pos }

// declarations finds what each doc comment documents.
func declarations(file *ast.File) map[*ast.CommentGroup]span {
	found := make(map[*ast.CommentGroup]span)
	note := func(doc *ast.CommentGroup, start, end token.Pos) {
		if doc != nil {
			found[doc] = span{start, end}
		}
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			note(d.Doc, d.Pos(), d.Type.End())
		case *ast.GenDecl:
			note(d.Doc, d.Pos(), d.End())
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					note(s.Doc, s.Pos(), s.End())
				case *ast.ValueSpec:
					note(s.Doc, s.Pos(), s.End())
				}
			}
		}
	}
	return found
}

// firstLine is a declaration as an index of a package shows it: up to its
// body or list.
func firstLine(source []byte) string {
	line, _, _ := strings.Cut(string(source), "\n")
	line = strings.TrimSpace(beforeComment(line))
	return strings.TrimRight(line, " {(,=")
}

// beforeComment ends a line at the mark of a comment, which is none within quotes.
func beforeComment(line string) string {
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote == 0 && strings.HasPrefix(line[i:], "//"):
			return line[:i]
		case quote == 0 && (c == '"' || c == '`' || c == '\''):
			quote = c
		case c == '\\' && quote != '`':
			i++
		case c == quote:
			quote = 0
		}
	}
	return line
}

// isLegal tells a licence or old build constraint, which stand above the package clause.
func isLegal(text string) bool {
	if strings.HasPrefix(text, "+build ") {
		return true
	}
	head := strings.ToLower(text[:min(len(text), 200)])
	return strings.Contains(head, "copyright") || strings.Contains(head, "license")
}

// isProse tells a sentence from a label and from code that is commented out:
// at least seven words, and nine tenths letters and spaces.
func isProse(text string) bool {
	var letters, others int
	for _, r := range text {
		if unicode.IsLetter(r) || unicode.IsSpace(r) {
			letters++
		} else {
			others++
		}
	}
	return letters >= 9*others && len(strings.Fields(text)) >= 7
}
