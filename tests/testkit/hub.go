package testkit

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Hub is a server that speaks the Hugging Face hub's API for datasets: its description, its list of files in pages, and
// files that are redirected to another host. It can be made to misbehave.
type Hub struct {
	*httptest.Server
	// Storage is the host to which large files are redirected. No request to it may carry a token.
	Storage *httptest.Server
	// Token is what private datasets want, and PageSize the files in one page of a list.
	Token    string
	PageSize int
	// Misbehave sees every request first, and answers it itself if it returns true. number counts the requests of that
	// method and path from 1.
	Misbehave func(w http.ResponseWriter, r *http.Request, number int) bool

	mutex    sync.Mutex
	datasets map[string]*hubDataset // by OWNER/NAME@REVISION
	counts   map[string]int
	requests []string
	leaked   []string
}

type hubDataset struct {
	card    map[string]any
	private bool
	files   map[string][]byte
}

// smallFile is the size up to which the hub keeps files in git, without a redirect.
const smallFile = 64

// NewHub starts a hub without datasets, which ends with the test.
func NewHub(t testing.TB) *Hub {
	h := &Hub{PageSize: 1000, datasets: map[string]*hubDataset{}, counts: map[string]int{}}
	h.Server = httptest.NewServer(http.HandlerFunc(h.serve))
	h.Storage = httptest.NewServer(http.HandlerFunc(h.store))
	t.Cleanup(func() {
		h.Server.CloseClientConnections()
		h.Server.Close()
		h.Storage.CloseClientConnections()
		h.Storage.Close()
		if len(h.leaked) > 0 {
			t.Errorf("the token was sent to the storage host: %v", h.leaked)
		}
	})
	return h
}

// Add puts files at a revision of a dataset: "main" or "refs/convert/parquet". card is the head of its README.
func (h *Hub) Add(id, revision string, card map[string]any, files map[string][]byte) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.datasets[id+"@"+revision] = &hubDataset{card: card, files: files}
}

// Private makes a dataset want the token.
func (h *Hub) Private(id string) { h.datasets[id+"@main"].private = true }

// Requests lists what was asked, as METHOD PATH [RANGE], and forgets it.
func (h *Hub) Requests() []string {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	asked := h.requests
	h.requests = nil
	return asked
}

func (h *Hub) note(r *http.Request) int {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	line := r.Method + " " + r.URL.Path
	h.counts[line]++
	number := h.counts[line]
	if asked := r.Header.Get("Range"); asked != "" {
		line += " " + asked
	}
	h.requests = append(h.requests, line)
	if r.Host == h.Storage.Listener.Addr().String() && r.Header.Get("Authorization") != "" {
		h.leaked = append(h.leaked, line)
	}
	return number
}

func (h *Hub) commit(revision string, d *hubDataset) string {
	sum := sha1.New()
	fmt.Fprint(sum, revision)
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		fmt.Fprintf(sum, "%s %x", path, d.files[path])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// find looks a dataset up by a revision or a commit.
func (h *Hub) find(id, revision string) (*hubDataset, string) {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	for key, d := range h.datasets {
		owner, name, _ := strings.Cut(key, "@")
		if owner == id && (name == revision || h.commit(name, d) == revision) {
			return d, h.commit(name, d)
		}
	}
	return nil, ""
}

func (h *Hub) serve(w http.ResponseWriter, r *http.Request) {
	if number := h.note(r); h.Misbehave != nil && h.Misbehave(w, r, number) {
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api")
	parts := strings.Split(strings.TrimPrefix(path, "/datasets/"), "/") // OWNER NAME VERB REVISION PATH…
	if len(parts) < 4 {
		http.NotFound(w, r)
		return
	}
	revision, _ := url.PathUnescape(parts[3])
	d, commit := h.find(parts[0]+"/"+parts[1], revision)
	switch {
	case d == nil || d.private && r.Header.Get("Authorization") == "":
		w.Header().Set("X-Error-Code", "RepoNotFound")
		w.Header().Set("X-Error-Message", "Repository not found")
		w.WriteHeader(http.StatusUnauthorized)
	case d.private && r.Header.Get("Authorization") != "Bearer "+h.Token:
		w.Header().Set("X-Error-Code", "GatedRepo")
		w.WriteHeader(http.StatusForbidden)
	case parts[2] == "revision":
		json.NewEncoder(w).Encode(map[string]any{"sha": commit, "cardData": d.card})
	case parts[2] == "tree":
		h.tree(w, r, d)
	default:
		name, _ := url.PathUnescape(strings.Join(parts[4:], "/"))
		h.resolve(w, r, d, commit, name)
	}
}

// tree answers with one page of the list of files.
func (h *Hub) tree(w http.ResponseWriter, r *http.Request, d *hubDataset) {
	names := slices.Sorted(maps.Keys(d.files))
	var start int
	fmt.Sscan(r.URL.Query().Get("cursor"), &start)
	end := min(start+h.PageSize, len(names))
	page := []map[string]any{{"type": "directory", "path": "data", "oid": "0"}}
	for _, name := range names[start:end] {
		content := d.files[name]
		entry := map[string]any{"type": "file", "path": name, "size": len(content), "oid": gitSum(content)}
		if len(content) > smallFile {
			entry["lfs"] = map[string]any{"oid": largeSum(content), "size": len(content)}
		}
		page = append(page, entry)
	}
	if end < len(names) {
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?recursive=true&cursor=%d>; rel="next"`, h.URL, r.URL.Path, end))
	}
	json.NewEncoder(w).Encode(page)
}

func (h *Hub) resolve(w http.ResponseWriter, r *http.Request, d *hubDataset, commit, name string) {
	content, found := d.files[name]
	w.Header().Set("X-Repo-Commit", commit)
	switch {
	case !found:
		w.Header().Set("X-Error-Code", "EntryNotFound")
		w.WriteHeader(http.StatusNotFound)
	case len(content) > smallFile:
		w.Header().Set("X-Linked-ETag", `"`+largeSum(content)+`"`)
		w.Header().Set("X-Linked-Size", fmt.Sprint(len(content)))
		http.Redirect(w, r, h.Storage.URL+"/"+largeSum(content), http.StatusFound)
	default:
		w.Header().Set("ETag", `"`+gitSum(content)+`"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

// store serves a large file by its sum.
func (h *Hub) store(w http.ResponseWriter, r *http.Request) {
	if number := h.note(r); h.Misbehave != nil && h.Misbehave(w, r, number) {
		return
	}
	h.mutex.Lock()
	var content []byte
	for _, d := range h.datasets {
		for _, candidate := range d.files {
			if "/"+largeSum(candidate) == r.URL.Path {
				content = candidate
			}
		}
	}
	h.mutex.Unlock()
	w.Header().Set("ETag", `"of the storage"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

func largeSum(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func gitSum(content []byte) string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content))
	return hex.EncodeToString(sum[:])
}
