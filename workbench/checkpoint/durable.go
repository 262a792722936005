package checkpoint

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// chunk is how much is hashed and written, or read and hashed, at a time: small enough to stay in the processor's cache.
const chunk = 1 << 20

// createSynced creates path, lets write fill it, and syncs it to the disk. The sum is taken while writing.
func createSynced(path string, write func(io.Writer) error) (fileSum, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return fileSum{}, err
	}
	w := &sumWriter{w: f, hash: sha256.New()}
	err = write(w)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return fileSum{Size: w.size, SHA256: hexSum(w.hash)}, err
}

type sumWriter struct {
	w    io.Writer
	hash hash.Hash
	size int64
}

func (s *sumWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		part := p[done:min(len(p), done+chunk)]
		s.hash.Write(part)
		n, err := s.w.Write(part)
		done += n
		s.size += int64(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

type sumReader struct {
	r    io.Reader
	hash hash.Hash
}

func (s *sumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p[:min(len(p), chunk)])
	s.hash.Write(p[:n])
	return n, err
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// syncDir makes the names in dir durable, as file.Sync does for contents.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there; renames are journalled
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		return nil // some network and user-space file systems have no such call
	}
	return err
}

// tempPrefix marks folders in a run that are not checkpoints: saves and deletions under way.
const tempPrefix = ".tmp-"

// strangerAge is how long a temporary folder is left alone when we cannot tell whether its process lives.
const strangerAge = 24 * time.Hour

// inUse holds the names of this process's temporary folders, so that one save does not sweep another's away. Names are random;
// the paths of a run may be spelled differently.
var inUse sync.Map

// tempName returns an unused path in run whose name tells who made it: .tmp-LABEL.PID.RANDOM.HOST
func tempName(run, label string) string {
	return filepath.Join(run, fmt.Sprintf("%s%s.%d.%s.%s", tempPrefix, label, os.Getpid(), rand.Text()[:10], hostName()))
}

func hostName() string {
	host, _ := os.Hostname()
	return strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r == ':' {
			return '_'
		}
		return r
	}, host)
}

// sweep removes what killed processes left in run: temporary folders, and replaced checkpoints whose successor is
// sound. Failing to is harmless: none of them is ever taken for a checkpoint.
func sweep(run string) {
	publishing.Lock()
	defer publishing.Unlock()
	entries, _ := os.ReadDir(run)
	for _, entry := range entries {
		path := filepath.Join(run, entry.Name())
		if successor, ok := strings.CutSuffix(path, replacedSuffix); ok && Verify(successor) == nil {
			discard(run, path)
			continue
		}
		if !entry.IsDir() || !strings.HasPrefix(entry.Name(), tempPrefix) {
			continue
		}
		if info, err := entry.Info(); err == nil && abandoned(path, info.ModTime()) {
			os.RemoveAll(path)
		}
	}
}

func abandoned(path string, modified time.Time) bool {
	if _, ours := inUse.Load(filepath.Base(path)); ours {
		return false
	}
	parts := strings.SplitN(strings.TrimPrefix(filepath.Base(path), tempPrefix), ".", 4)
	if len(parts) == 4 && parts[3] == hostName() {
		if pid, err := strconv.Atoi(parts[1]); err == nil && pid > 0 {
			// Our own number on a folder we do not use: containers hand the same number out again.
			return pid == os.Getpid() || !alive(pid)
		}
	}
	return time.Since(modified) > strangerAge
}

func alive(pid int) bool {
	process, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer process.Release()
	return !errors.Is(process.Signal(syscall.Signal(0)), os.ErrProcessDone)
}
