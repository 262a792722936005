package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// Download gives the path of a file in the cache, and gets it first if it is not there.
//
//  1. One process at a time downloads a blob; the others wait for its lock and find it done.
//  2. What an earlier download left in SUM.incomplete is kept, and the rest is asked for.
//  3. Cut connections, silence, 429 and 5xx are tried again, from where it stopped, with growing waits.
//  4. The sum is taken of the whole file; if it is wrong, all is thrown away and asked for again.
//  5. The blob gets its name, and the snapshot a link to it.
//
// No If-Range is sent: a blob is named by the sum of its bytes, so it cannot have changed, and the ETag of the host that
// the hub redirects to is another one than the hub's.
func (c *Client) Download(ctx context.Context, d *Dataset, f File) (string, error) {
	path, whole := c.Cached(d, f)
	if whole {
		return path, nil
	}
	if c.Offline {
		return "", fmt.Errorf("file %s of dataset %s is not in the cache %s, and HF_HUB_OFFLINE is set; unset it to download", f.Path, d.ID, c.Cache)
	}
	blob := c.folder(d.ID, "blobs", f.etag())
	err := c.locked(ctx, d.ID, f.etag(), func() error {
		// The blob may be there, from another process or another commit.
		if info, err := os.Stat(blob); err != nil || info.Size() != f.Size {
			if err := c.fetch(ctx, d, f, blob); err != nil {
				return err
			}
		}
		return c.diskError(link(path, blob))
	})
	if err != nil {
		return "", c.explain(fmt.Errorf("download %s of dataset %s: %w", f.Path, d.ID, err), d.ID)
	}
	return path, nil
}

// locked calls do while no other process holds the lock of the blob.
func (c *Client) locked(ctx context.Context, id, etag string, do func() error) error {
	path := filepath.Join(c.Cache, ".locks", filepath.Base(c.folder(id)), etag+".lock")
	for _, folder := range []string{filepath.Dir(path), c.folder(id, "blobs")} {
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return c.diskError(err)
		}
	}
	lock := flock.New(path)
	if _, err := lock.TryLockContext(ctx, 50*time.Millisecond); err != nil {
		return fmt.Errorf("lock %s: %w", path, err)
	}
	defer lock.Close()
	return do()
}

// fetch downloads f to blob.
func (c *Client) fetch(ctx context.Context, d *Dataset, f File, blob string) error {
	part, err := os.OpenFile(blob+".incomplete", os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return c.diskError(err)
	}
	defer part.Close()
	address := fmt.Sprintf("%s/datasets/%s/resolve/%s/%s", c.Endpoint, d.ID, d.Commit, escapePath(f.Path))
	t := transfer{Client: c, dataset: d.ID, file: f, address: address, part: part}
	if err := c.persist(ctx, func() error { return t.attempt(ctx) }); err != nil {
		return err
	}
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return c.diskError(err)
	}
	return c.diskError(os.Rename(part.Name(), blob))
}

func escapePath(path string) string {
	names := strings.Split(path, "/")
	for i, name := range names {
		names[i] = url.PathEscape(name)
	}
	return strings.Join(names, "/")
}

// transfer is the download of one file.
type transfer struct {
	*Client
	dataset string
	file    File
	address string
	part    *os.File
	damaged int // times that all was thrown away
}

// damagedMax is how often a file may arrive damaged: what is wrong thrice is wrong at the hub.
const damagedMax = 3

// attempt gets what is missing and checks the sum.
func (t *transfer) attempt(ctx context.Context) error {
	have, err := t.part.Seek(0, io.SeekEnd)
	if err != nil {
		return t.diskError(err)
	}
	if have > t.file.Size {
		return t.restart("there are more bytes than the file has")
	}
	if have < t.file.Size {
		if err := t.receive(ctx, have); err != nil {
			return err
		}
	}
	switch sum, err := t.sum(); {
	case err != nil:
		return t.diskError(err)
	case sum != t.file.etag():
		return t.restart(fmt.Sprintf("its checksum is %.12s… and must be %.12s…", sum, t.file.etag()))
	}
	return nil
}

// restart throws away what there is.
func (t *transfer) restart(why string) error {
	if err := t.part.Truncate(0); err != nil {
		return t.diskError(err)
	}
	if t.damaged++; t.damaged == damagedMax {
		return fmt.Errorf("it arrived damaged %d times: %s; the hub or the mirror at %s holds another file than it lists", t.damaged, why, t.Endpoint)
	}
	return again{error: fmt.Errorf("%s arrived damaged: %s", t.file.Path, why)}
}

var errSilence = errors.New("the hub fell silent")

// receive asks for the bytes from have on and appends them.
func (t *transfer) receive(ctx context.Context, have int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(t.stall(), func() { cancel(errSilence) })
	defer silence.Stop()
	header := http.Header{"Accept-Encoding": {"identity"}}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	response, err := t.request(ctx, t.address, header)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusPartialContent:
		if !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)) {
			return t.restart(fmt.Sprintf("bytes from %d on were asked for, and came as %q", have, response.Header.Get("Content-Range")))
		}
	case http.StatusOK: // the whole file, whatever was asked for
		have = 0
		if err := t.part.Truncate(0); err != nil {
			return t.diskError(err)
		}
	case http.StatusRequestedRangeNotSatisfiable:
		return t.restart("the hub has fewer bytes")
	default:
		return statusError(response)
	}
	return t.append(ctx, response.Body, have, silence)
}

func (t *transfer) append(ctx context.Context, body io.Reader, have int64, silence *time.Timer) error {
	if _, err := t.part.Seek(have, io.SeekStart); err != nil {
		return t.diskError(err)
	}
	buffer := make([]byte, 256<<10)
	for start := have; ; {
		n, err := body.Read(buffer)
		silence.Reset(t.stall())
		if _, writeErr := t.part.Write(buffer[:n]); writeErr != nil {
			return t.diskError(writeErr)
		}
		have += int64(n)
		if t.Progress != nil && n > 0 {
			t.Progress(Progress{t.dataset, t.file.Path, have, t.file.Size})
		}
		switch {
		case have > t.file.Size:
			return t.restart("more bytes came than the file has")
		case err == io.EOF && have == t.file.Size:
			return nil
		case err != nil:
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			} else if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return again{error: fmt.Errorf("%s was cut off after %d of %d bytes: %w", t.file.Path, have, t.file.Size, err), moved: have > start}
		}
	}
}

// sum is the file's sum, of the kind that the hub gives for it.
func (t *transfer) sum() (string, error) {
	var h hash.Hash
	if t.file.SHA256 != "" {
		h = sha256.New()
	} else {
		h = sha1.New()
		fmt.Fprintf(h, "blob %d\x00", t.file.Size)
	}
	if _, err := t.part.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	if _, err := io.CopyBuffer(h, t.part, make([]byte, 1<<20)); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// diskError adds what can be done about an error of the cache.
func (c *Client) diskError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w; free some space, or set HF_HOME to a folder on another disk: what has come stays, and the next try goes on from it", err)
	}
	return fmt.Errorf("%w; set HF_HOME to a folder that can be written", err)
}
