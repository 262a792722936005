package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
)

// The cache is laid out as that of the hub's own tools, and shared with them:
//
//	datasets--OWNER--NAME/refs/main               the commit of a revision
//	datasets--OWNER--NAME/blobs/SUM               the bytes of a file; SUM.incomplete while it is downloaded
//	datasets--OWNER--NAME/snapshots/COMMIT/PATH   a link to the blob
//	.locks/datasets--OWNER--NAME/SUM.lock         held by whoever downloads the blob
//
// One file is ours alone: datasets--OWNER--NAME/listings/COMMIT.json, the Dataset at that commit. By it a cache that
// lacks files is told from a whole one without the network.

func (c *Client) folder(id string, below ...string) string {
	name := "datasets--" + strings.ReplaceAll(id, "/", "--")
	return filepath.Join(append([]string{c.Cache, name}, below...)...)
}

// Cached is where a file lies in the cache, and whether it is there, whole.
func (c *Client) Cached(d *Dataset, f File) (path string, whole bool) {
	path = c.folder(d.ID, "snapshots", d.Commit, filepath.FromSlash(f.Path))
	info, err := os.Stat(path) // of the blob, for it follows links
	return path, err == nil && info.Mode().IsRegular() && info.Size() == f.Size
}

func (c *Client) readListing(id, commit string) (*Dataset, error) {
	text, err := os.ReadFile(c.folder(id, "listings", commit+".json"))
	if err != nil {
		return nil, err
	}
	var d Dataset
	if err := json.Unmarshal(text, &d); err != nil || d.ID != id || d.Commit != commit {
		return nil, fmt.Errorf("the list of files of %s at %s is damaged", id, commit)
	}
	return &d, nil
}

// remember keeps the listing and the commit of its revision.
func (c *Client) remember(d *Dataset) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := replace(c.folder(d.ID, "listings", d.Commit+".json"), text); err != nil {
		return c.diskError(err)
	}
	if d.Revision == d.Commit {
		return nil
	}
	return c.diskError(replace(c.folder(d.ID, "refs", filepath.FromSlash(d.Revision)), []byte(d.Commit)))
}

// remembered is the Dataset as the cache knows it. Of a cache that other tools have filled it knows only what is there: the
// files, and the card where its README was fetched too.
func (c *Client) remembered(id, revision string) (*Dataset, error) {
	commit := revision
	if !isCommit(commit) {
		text, err := os.ReadFile(c.folder(id, "refs", filepath.FromSlash(revision)))
		commit = strings.TrimSpace(string(text))
		if err != nil || !isCommit(commit) {
			return nil, fmt.Errorf("dataset %s at %s is not in the cache %s, and the hub is not asked: HF_HUB_OFFLINE is set; unset it", id, revision, c.Cache)
		}
	}
	if d, err := c.readListing(id, commit); err == nil {
		d.Revision = revision
		return d, nil
	}
	d := &Dataset{ID: id, Revision: revision, Commit: commit}
	root := c.folder(id, "snapshots", commit)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		file := File{Path: filepath.ToSlash(relative), Size: info.Size()}
		// The link leads to a blob whose name is its sum. That may itself be a link, to bytes shared under another name.
		blob, _ := os.Readlink(path)
		switch sum := filepath.Base(blob); {
		case isCommit(sum): // git's sums are all of one kind
			file.GitSHA1 = sum
		case isHex(sum):
			file.SHA256 = sum
		}
		d.Files = append(d.Files, file)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the cache of dataset %s: %w; delete its folder, or unset HF_HUB_OFFLINE", id, err)
	}
	card := readCard(filepath.Join(root, "README.md"))
	d.Licence, d.Configs = oneText(card.License), card.Configs
	return d, nil
}

// readCard reads the head of a README; without one the card is empty.
func readCard(path string) (c card) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c
	}
	head, found := strings.CutPrefix(strings.ReplaceAll(string(text), "\r\n", "\n"), "---\n")
	head, _, closed := strings.Cut(head, "\n---")
	if encoded, err := yaml.YAMLToJSON([]byte(head)); err != nil || !found || !closed || json.Unmarshal(encoded, &c) != nil {
		return card{}
	}
	return c
}

// replace writes a file so that readers see the old text or the new.
func replace(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// link makes path a link to blob, relative as the hub's own tools make it, or a second name where links are not to be had.
func link(path, blob string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	target, err := filepath.Rel(filepath.Dir(path), blob)
	if err != nil {
		return err
	}
	// Made beside it and renamed, for another process may read path at this moment.
	aside := fmt.Sprintf("%s.%d.link", path, os.Getpid())
	os.Remove(aside)
	if os.Symlink(target, aside) != nil {
		if err := os.Link(blob, aside); err != nil {
			return err
		}
	}
	if err := os.Rename(aside, path); err != nil {
		os.Remove(aside)
		return err
	}
	return nil
}
