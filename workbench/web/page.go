package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"path"
	"time"
)

//go:embed page
var pageFiles embed.FS

// pagePolicy lets the page load its own files and talk to its own server, and nothing else. There is no inline script or
// style, and no text becomes HTML (https://www.w3.org/TR/CSP3/, https://www.w3.org/TR/trusted-types/).
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// contentTypes are by name alone: a system's table may say otherwise, and browsers run no module of another type.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// pageHandlers serve the page's files, by pattern of their path.
func pageHandlers() (map[string]http.HandlerFunc, error) {
	handlers := map[string]http.HandlerFunc{}
	entries, err := pageFiles.ReadDir("page")
	if err != nil {
		return nil, fmt.Errorf("read the page: %w", err)
	}
	for _, entry := range entries {
		content, err := pageFiles.ReadFile(path.Join("page", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the page: %w", err)
		}
		pattern := "/" + entry.Name()
		if entry.Name() == "index.html" {
			pattern = "/{$}"
		}
		handlers[pattern] = pageFile(contentTypes[path.Ext(entry.Name())], content)
	}
	return handlers, nil
}

func pageFile(contentType string, content []byte) http.HandlerFunc {
	tag := fmt.Sprintf(`"%x"`, sha256.Sum256(content))
	return func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", contentType)
		header.Set("Content-Security-Policy", pagePolicy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-cache")
		header.Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}
