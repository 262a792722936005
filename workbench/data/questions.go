package data

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Question is one about an exported symbol, and what its documentation answers.
type Question struct {
	// Symbol is the import path and the name: net/http.Client.Do. Several questions may be about one.
	Symbol           string
	Question, Answer string
	// At is where the symbol is declared, as FILE:LINE.
	At string
}

// QuestionsSpec begins the specs that Questions understands.
const QuestionsSpec = "godoc-chat"

// Questions makes questions and answers of the documentation of exported functions, methods, types, constants and
// variables. spec is godoc-chat, godoc-chat:PACKAGE or godoc-chat:./FOLDER, as with godoc in Open. Each symbol gives
// what it is or does, from the first paragraph of its comment; how it is declared; and, where the comment has more
// paragraphs, all of it. The wording is chosen by the symbol's name, so it is the same each time. Commands, tests and
// internal packages are left out.
func Questions(spec string) iter.Seq2[Question, error] {
	return func(yield func(Question, error) bool) {
		corpus, err := openGodoc(strings.Replace(spec, QuestionsSpec, "godoc", 1))
		if err != nil {
			yield(Question{}, fmt.Errorf("%w (as %s)", err, spec))
			return
		}
		tree := corpus.(*godocCorpus)
		files, err := tree.files()
		if err != nil {
			yield(Question{}, fmt.Errorf("list corpus %q: %w", spec, err))
			return
		}
		root := sourceRoot(tree.root)
		files = slices.DeleteFunc(files, func(file string) bool { return !isPublic(root, file) })
		seen := map[string]bool{} // the same function is declared for several systems
		for symbols, err := range ordered(all(files), func(file string) ([]symbol, error) { return fileSymbols(root, file) }) {
			if err != nil {
				yield(Question{}, err)
				return
			}
			for _, s := range symbols {
				if seen[s.key()] {
					continue
				}
				seen[s.key()] = true
				for _, question := range s.questions() {
					if !yield(question, nil) {
						return
					}
				}
			}
		}
	}
}

// sourceRoot is the folder that import paths begin at: the src folder that root lies in, or else root itself.
func sourceRoot(root string) string {
	for folder := root; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if filepath.Base(folder) == "src" {
			return folder
		}
	}
	return root
}

// isPublic leaves out tests and what other modules cannot import.
func isPublic(root, file string) bool {
	if strings.HasSuffix(file, "_test.go") {
		return false
	}
	relative, err := filepath.Rel(root, filepath.Dir(file))
	return err == nil && !slices.ContainsFunc(strings.Split(filepath.ToSlash(relative), "/"), func(part string) bool {
		return part == "internal" || part == "vendor" || part == "cmd"
	})
}

// symbol is an exported name with its documentation.
type symbol struct {
	path, pkg string // import path and package name
	name      string // with the receiver's type before a method: Client.Do
	kind      string // function, method, type, constant or variable
	signature string
	doc       string
	at        string
}

func (s symbol) key() string { return s.path + "." + s.name }

// fileSymbols lists the exported symbols of a file that have a comment.
func fileSymbols(root, file string) ([]symbol, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil || parsed.Name.Name == "main" || ast.IsGenerated(parsed) {
		return nil, nil // a file that is broken has no documentation to trust
	}
	folder, err := filepath.Rel(root, filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("read corpus: %w", err)
	}
	base := symbol{path: filepath.ToSlash(folder), pkg: parsed.Name.Name}
	if base.path == "." {
		base.path = base.pkg
	}
	var symbols []symbol
	add := func(doc *ast.CommentGroup, name, kind, prefix string, node ast.Node, end token.Pos) {
		exported := !slices.ContainsFunc(strings.Split(name, "."), func(part string) bool { return !ast.IsExported(part) })
		if text := strings.TrimSpace(doc.Text()); text != "" && exported {
			s := base
			s.name, s.kind, s.doc = name, kind, text
			s.signature = prefix + oneLine(source[files.Position(node.Pos()).Offset:files.Position(end).Offset])
			s.at = fmt.Sprintf("%s:%d", file, files.Position(node.Pos()).Line)
			symbols = append(symbols, s)
		}
	}
	for _, declaration := range parsed.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Doc, d.Name.Name, "function", "", d, d.Type.End())
			} else {
				add(d.Doc, receiver(d.Recv)+"."+d.Name.Name, "method", "", d, d.Type.End())
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				doc := d.Doc
				switch s := spec.(type) {
				case *ast.TypeSpec:
					if s.Doc != nil || len(d.Specs) > 1 {
						doc = s.Doc
					}
					add(doc, s.Name.Name, "type", "type ", s, s.End())
				case *ast.ValueSpec:
					if s.Doc != nil || len(d.Specs) > 1 {
						doc = s.Doc
					}
					add(doc, s.Names[0].Name, map[token.Token]string{token.CONST: "constant", token.VAR: "variable"}[d.Tok], d.Tok.String()+" ", s, s.End())
				}
			}
		}
	}
	return symbols, nil
}

// receiver is the name of a method's type, without pointer and type parameters.
func receiver(list *ast.FieldList) string {
	if len(list.List) == 0 {
		return ""
	}
	expression := list.List[0].Type
	for {
		switch e := expression.(type) {
		case *ast.StarExpr:
			expression = e.X
		case *ast.IndexExpr:
			expression = e.X
		case *ast.IndexListExpr:
			expression = e.X
		case *ast.ParenExpr:
			expression = e.X
		case *ast.Ident:
			return e.Name
		default:
			return ""
		}
	}
}

// oneLine is a declaration as an index shows it: a function's whole, of others the first line.
func oneLine(source []byte) string {
	if strings.HasPrefix(string(source), "func") {
		return strings.Join(strings.Fields(string(source)), " ")
	}
	return firstLine(source)
}

// questions words them. In the templates %s is the symbol, such as http.Client.Do in net/http.
func (s symbol) questions() []Question {
	name := s.pkg + "." + s.name
	if s.path != s.pkg {
		name += " in " + s.path
	}
	choices := fnv.New32a()
	io.WriteString(choices, s.key())
	choose := func(templates ...string) string {
		return fmt.Sprintf(templates[int(choices.Sum32())%len(templates)], name)
	}
	short, rest, _ := strings.Cut(s.doc, "\n\n")
	short = strings.Join(strings.Fields(short), " ")
	about := choose("What is %s?", "What is the "+s.kind+" %s?", "Tell me about %s.")
	declared := choose("How is %s declared?", "Show me the declaration of %s.")
	if s.kind == "function" || s.kind == "method" {
		about = choose("What does %s do?", "How do I use %s?", "What is %s for?")
		declared = choose("How is %s declared?", "What is the signature of %s?", "Show me the declaration of %s.")
		if strings.Contains(short, "returns") {
			about = choose("What does %s do?", "What does %s return?", "How do I use %s?")
		}
	}
	one := func(question, answer string) Question {
		return Question{Symbol: s.key(), Question: question, Answer: answer, At: s.at}
	}
	list := []Question{one(about, short), one(declared, s.signature)}
	if strings.TrimSpace(rest) != "" {
		list = append(list, one(choose("Explain %s in full.", "What does the documentation say about %s?", "Describe %s in detail."), s.signature+"\n\n"+s.doc))
	}
	return list
}
