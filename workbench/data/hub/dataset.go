package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// Dataset is what a dataset holds at one commit.
type Dataset struct {
	ID       string       `json:"id"` // OWNER/NAME
	Revision string       `json:"revision"`
	Commit   string       `json:"commit"`
	Licence  string       `json:"licence"` // as its card says; "" if it says nothing
	Configs  []cardConfig `json:"configs"` // as its card says
	Files    []File       `json:"files"`   // by path
}

// File is one file of a dataset. Of the sums the first is given for small files, the second for large ones.
type File struct {
	Path    string `json:"path"`
	Size    int64  `json:"size"`
	GitSHA1 string `json:"git_sha1,omitempty"` // of the git blob
	SHA256  string `json:"sha256,omitempty"`
}

// etag is the name of the file's blob in the cache, as in the hub's own tools.
func (f File) etag() string {
	if f.SHA256 != "" {
		return f.SHA256
	}
	return f.GitSHA1
}

// Main is the revision that is read when none is named; converted is the branch in which the hub keeps datasets of
// other formats as parquet.
const (
	Main      = "main"
	converted = "refs/convert/parquet"
)

// datasetsAPI begins the path of every question about a dataset.
const datasetsAPI = "/api/datasets/"

var validID = regexp.MustCompile(`^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$`)

// CheckID says what is wrong with the name of a dataset.
func CheckID(id string) error {
	if !validID.MatchString(id) || strings.Contains(id, "..") || strings.Contains(id, "--") {
		return fmt.Errorf("dataset %q: a dataset is named OWNER/NAME, of letters, digits, dots, dashes and underscores", id)
	}
	return nil
}

// Dataset asks what a dataset holds at a revision: a branch, a tag or a commit. The answer is kept in the cache. It is
// taken from there when the client is offline or the hub cannot be reached or is out of order, and the list of files also
// when the revision still is the same commit.
func (c *Client) Dataset(ctx context.Context, id, revision string) (*Dataset, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	if c.Offline {
		return c.remembered(id, revision)
	}
	d, err := c.ask(ctx, id, revision)
	var away again // no network, or a hub that is down or has had enough of us
	if errors.As(err, &away) && ctx.Err() == nil {
		if kept, keptErr := c.remembered(id, revision); keptErr == nil {
			c.say("hub: %v; using the cache", err)
			return kept, nil
		}
	}
	if err != nil {
		return nil, c.explain(fmt.Errorf("ask for dataset %s: %w", id, err), id)
	}
	return d, nil
}

func (c *Client) ask(ctx context.Context, id, revision string) (*Dataset, error) {
	var info struct {
		SHA  string `json:"sha"`
		Card card   `json:"cardData"`
	}
	base := c.Endpoint + datasetsAPI + id
	if _, err := c.get(ctx, base+"/revision/"+url.PathEscape(revision), &info); err != nil {
		return nil, err
	}
	if !isCommit(info.SHA) {
		return nil, fmt.Errorf("the answer names no commit (%q); is HF_ENDPOINT a hub?", info.SHA)
	}
	if kept, err := c.readListing(id, info.SHA); err == nil {
		kept.Revision = revision
		return kept, c.remember(kept)
	}
	d := &Dataset{ID: id, Revision: revision, Commit: info.SHA, Licence: oneText(info.Card.License), Configs: info.Card.Configs}
	for next := base + "/tree/" + info.SHA + "?recursive=true"; next != ""; {
		var page []struct {
			Type string `json:"type"`
			Path string `json:"path"`
			Size int64  `json:"size"`
			OID  string `json:"oid"`
			LFS  *struct {
				OID  string `json:"oid"`
				Size int64  `json:"size"`
			} `json:"lfs"`
		}
		header, err := c.get(ctx, next, &page)
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			if entry.Type != "file" {
				continue
			}
			file := File{Path: entry.Path, Size: entry.Size, GitSHA1: entry.OID}
			if entry.LFS != nil {
				file = File{Path: entry.Path, Size: entry.LFS.Size, SHA256: entry.LFS.OID}
			}
			// Paths and sums become names of files here: nothing may lead out of the cache.
			if !filepath.IsLocal(file.Path) || !isHex(file.etag()) {
				return nil, fmt.Errorf("the list of files names %q with the sum %q, which cannot be", file.Path, file.etag())
			}
			d.Files = append(d.Files, file)
		}
		if next, err = c.nextPage(next, header); err != nil {
			return nil, err
		}
	}
	return d, c.remember(d)
}

// nextPage finds the address of the next page in a Link header, or "". A mirror may pass on the hub's own address, and may
// itself lie below a folder of its host: it is asked all the same, and no other.
func (c *Client) nextPage(current string, header http.Header) (string, error) {
	for _, link := range strings.Split(header.Get("Link"), ",") {
		address, parameters, _ := strings.Cut(link, ">")
		if !strings.Contains(parameters, `rel="next"`) {
			continue
		}
		_, request, found := strings.Cut(address, datasetsAPI)
		if next := c.Endpoint + datasetsAPI + request; found && next != current {
			return next, nil
		}
		return "", fmt.Errorf("the list of files does not go on after %s: Link %q", current, header.Get("Link"))
	}
	return "", nil
}

// disabledMessage is all by which the hub tells a dataset that it has taken down.
const disabledMessage = "Access to this resource is disabled."

// explain adds to a refusal what can be done about it.
func (c *Client) explain(err error, id string) error {
	var away *unreachable
	var refusal *StatusError
	switch {
	case errors.As(err, &away):
		return fmt.Errorf("%w; is the network up, and HF_ENDPOINT right?", err)
	case !errors.As(err, &refusal):
		return err
	}
	page := c.Endpoint + "/datasets/" + id
	switch {
	case refusal.Code == "GatedRepo" && c.Token != "":
		return fmt.Errorf("%w; the dataset is gated: ask for access on %s", err, page)
	case refusal.Code == "GatedRepo":
		return fmt.Errorf("%w; the dataset is gated: ask for access on %s and set HF_TOKEN", err, page)
	case refusal.Code == "RevisionNotFound":
		return fmt.Errorf("%w; see %s/tree/main for its branches and tags", err, page)
	case refusal.Message == disabledMessage:
		return fmt.Errorf("%w; the hub has disabled the dataset: %s may say why; choose another", err, page)
	case refusal.Status == http.StatusUnauthorized && c.Token == "":
		return fmt.Errorf("%w; the dataset is private or does not exist: set HF_TOKEN, or mend the name", err)
	case refusal.Status == http.StatusUnauthorized, refusal.Status == http.StatusForbidden:
		return fmt.Errorf("%w; the token given has no access to it: see %s and HF_TOKEN", err, page)
	case refusal.Status == http.StatusNotFound:
		return fmt.Errorf("%w; mend the name, or set HF_TOKEN if the dataset is private", err)
	}
	return err
}

// oneText reads a string, or the strings of a list with commas between.
func oneText(raw json.RawMessage) string { return strings.Join(texts(raw), ", ") }

// texts reads a string or a list of strings; anything else is none.
func texts(raw json.RawMessage) []string {
	var one string
	if json.Unmarshal(raw, &one) == nil && one != "" {
		return []string{one}
	}
	var many []string
	if json.Unmarshal(raw, &many) != nil {
		return nil
	}
	return many
}

func isHex(s string) bool {
	return s != "" && strings.Trim(s, "0123456789abcdef") == ""
}

func isCommit(s string) bool { return len(s) == 40 && isHex(s) }
