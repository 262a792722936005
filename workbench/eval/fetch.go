package eval

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// BundleAddress is where nanochat publishes CORE's bundle.
const BundleAddress = "https://karpathy-public.s3.us-west-2.amazonaws.com/eval_bundle.zip"

// Limits of an archive: CORE's has 0.2 GB in 50 files, 0.6 GB unpacked.
const (
	maxArchive  = 4 << 30
	maxUnpacked = 16 << 30
	maxMembers  = 10000
)

// FetchBundle gives the folder of a bundle that is a folder, a .zip file or the address of one. Archives are unpacked once,
// below cache. An address may end in #sha256=… (64 digits), and then what comes must have that checksum.
func FetchBundle(ctx context.Context, source, cache string, say func(string)) (string, error) {
	if info, err := os.Stat(source); err == nil && info.IsDir() {
		return bundleIn(source)
	} else if err == nil {
		sum, err := fileSum(source)
		if err != nil {
			return "", fmt.Errorf("fetch %s: %w", source, err)
		}
		return unpackOnce(source, filepath.Join(cache, sum[:24]))
	}
	if !strings.HasPrefix(source, "http://") && !strings.HasPrefix(source, "https://") {
		return "", fmt.Errorf("fetch bundle %q: there is no such folder or file; give one, a .zip, or an address that begins with https://", source)
	}
	address, want, _ := strings.Cut(source, "#sha256=")
	kept := filepath.Join(cache, fmt.Sprintf("%x", sha256.Sum256([]byte(source)))[:24])
	if folder, err := bundleIn(kept); err == nil {
		return folder, nil
	}
	say("downloading " + address)
	archive, err := download(ctx, address, want, cache)
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", address, err)
	}
	defer os.Remove(archive)
	return unpackOnce(archive, kept)
}

// bundleIn finds core.yaml in a folder or in one of its own.
func bundleIn(folder string) (string, error) {
	found, err := fs.Glob(os.DirFS(folder), "*/"+coreFile)
	if err != nil {
		return "", fmt.Errorf("look for %s: %w", coreFile, err)
	}
	for _, name := range append([]string{coreFile}, found...) {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if _, err := os.Stat(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", fmt.Errorf("%s holds no %s; it is no CORE bundle", folder, coreFile)
}

func fileSum(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hexOf(sum), nil
}

func hexOf(sum hash.Hash) string { return fmt.Sprintf("%x", sum.Sum(nil)) }

// download saves what an address gives to a temporary file.
func download(ctx context.Context, address, want, cache string) (path string, err error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answers %s", response.Status)
	}
	file, err := os.CreateTemp(cache, "download-*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			os.Remove(file.Name())
		}
	}()
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, sum), io.LimitReader(response.Body, maxArchive+1))
	if err != nil {
		return "", err
	}
	if size > maxArchive {
		return "", fmt.Errorf("it has more than %d bytes", int64(maxArchive))
	}
	if have := hexOf(sum); want != "" && !strings.EqualFold(have, want) {
		return "", fmt.Errorf("its sha256 is %s, and %s was asked for", have, want)
	}
	return file.Name(), nil
}

// unpackOnce unpacks a .zip into a folder that appears when it is whole.
func unpackOnce(archive, folder string) (string, error) {
	if found, err := bundleIn(folder); err == nil {
		return found, nil
	}
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return "", fmt.Errorf("unpack %s: %w", archive, err)
	}
	partial, err := os.MkdirTemp(filepath.Dir(folder), "unpacking-*")
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w", archive, err)
	}
	defer os.RemoveAll(partial)
	if err := unpack(archive, partial); err != nil {
		return "", fmt.Errorf("unpack %s: %w", archive, err)
	}
	if _, err := bundleIn(partial); err != nil {
		return "", fmt.Errorf("unpack %s: it holds no %s; it is no CORE bundle", archive, coreFile)
	}
	if err := os.Rename(partial, folder); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("unpack %s: %w", archive, err)
	}
	return bundleIn(folder)
}

// unpack writes an archive's files below a folder, which os.Root lets none of them leave.
func unpack(archive, folder string) error {
	reader, err := zip.OpenReader(archive)
	if err != nil {
		return err
	}
	defer reader.Close()
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer root.Close()
	if len(reader.File) > maxMembers {
		return fmt.Errorf("it holds %d files; at most %d are supported", len(reader.File), maxMembers)
	}
	left := int64(maxUnpacked)
	for _, member := range reader.File {
		if member.FileInfo().IsDir() {
			continue
		}
		if !member.Mode().IsRegular() || !filepath.IsLocal(member.Name) {
			return fmt.Errorf("it holds %q, which is no plain file below its folder", member.Name)
		}
		written, err := unpackMember(root, member, left)
		if err != nil {
			return fmt.Errorf("%s: %w", member.Name, err)
		}
		left -= written
	}
	return nil
}

func unpackMember(root *os.Root, member *zip.File, left int64) (written int64, err error) {
	if err := root.MkdirAll(filepath.Dir(member.Name), 0o755); err != nil {
		return 0, err
	}
	source, err := member.Open()
	if err != nil {
		return 0, err
	}
	defer source.Close()
	target, err := root.Create(member.Name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	written, err = io.Copy(target, io.LimitReader(source, left+1))
	if err == nil && written > left {
		err = fmt.Errorf("unpacked, the files have more than %d bytes", int64(maxUnpacked))
	}
	return written, err
}
