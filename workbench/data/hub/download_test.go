package hub_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tandem/tests/testkit"
	"tandem/workbench/data/hub"
)

func TestFilesArriveInTheHubsOwnCacheLayout(t *testing.T) {
	server := testkit.NewHub(t)
	server.Token = "secret"
	files := shards(2, 1000)
	files["data/train-00002-of-00003.parquet"] = []byte("a small file, which git holds")
	server.Add(id, "main", nil, files)
	server.Private(id)
	c := client(t, server)
	c.Token = "secret"
	var last hub.Progress
	c.Progress = func(p hub.Progress) { last = p }
	choice := download(t, c, files)
	require.Equal(t, hub.Progress{Dataset: id, File: "data/train-00002-of-00003.parquet", Done: 29, Size: 29}, last)

	root := filepath.Join(c.Cache, "datasets--owner--set")
	commit, err := os.ReadFile(filepath.Join(root, "refs", "main"))
	require.NoError(t, err)
	require.Equal(t, choice.Dataset.Commit, string(commit))
	for _, file := range choice.Files {
		target, err := os.Readlink(filepath.Join(root, "snapshots", string(commit), file.Path))
		require.NoError(t, err)
		require.Equal(t, filepath.Join("..", "..", "..", "blobs"), filepath.Dir(target))
		require.Equal(t, file.SHA256+file.GitSHA1, filepath.Base(target))
	}
	left, err := filepath.Glob(filepath.Join(root, "*", "*.incomplete"))
	require.NoError(t, err)
	require.Empty(t, left)

	server.Requests()
	download(t, c, files)
	require.Len(t, server.Requests(), 1, "with a full cache only the revision is asked for")
}

// cutOff answers with only the first count bytes of what is asked for, at any offset.
func cutOff(w http.ResponseWriter, r *http.Request, content []byte, count int) {
	start := 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(content)-1, len(content)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)-start))
	if start > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	w.Write(content[start:min(len(content), start+count)])
	w.(http.Flusher).Flush()
}

func TestAMisbehavingHubIsOutlasted(t *testing.T) {
	content := noise(200_000, 0)
	for _, test := range []struct {
		name string
		// answer is for the storage host; number counts the requests to it.
		answer func(w http.ResponseWriter, r *http.Request, number int) bool
		stall  time.Duration
		ranges []string // of the requests
	}{
		{name: "it is cut off twelve times, which is more than the attempts in a row", answer: func(w http.ResponseWriter, r *http.Request, number int) bool {
			if number <= 12 {
				cutOff(w, r, content, 10_000)
			}
			return number <= 12
		}, ranges: []string{"", "10000", "20000", "30000", "40000", "50000", "60000", "70000", "80000", "90000", "100000", "110000", "120000"}},
		{name: "it falls silent in the middle", stall: time.Second, answer: func(w http.ResponseWriter, r *http.Request, number int) bool {
			if number == 1 {
				cutOff(w, r, content, 70_000)
				<-r.Context().Done()
			}
			return number == 1
		}, ranges: []string{"", "70000"}},
		{name: "it is slow, but never silent", stall: time.Second, answer: func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			for at := 0; at < len(content); at += len(content) / 4 {
				w.Write(content[at : at+len(content)/4])
				w.(http.Flusher).Flush()
				time.Sleep(400 * time.Millisecond) // longer in all than the silence that is borne
			}
			return true
		}, ranges: []string{""}},
		{name: "it says 500 twice", answer: func(w http.ResponseWriter, _ *http.Request, number int) bool {
			if number <= 2 {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return number <= 2
		}, ranges: []string{"", "", ""}},
		{name: "it ignores ranges", answer: func(w http.ResponseWriter, r *http.Request, number int) bool {
			if number == 1 {
				cutOff(w, r, content, 70_000)
			} else {
				w.Write(content)
			}
			return true
		}, ranges: []string{"", "70000"}},
		{name: "it gives another range than asked for", answer: func(w http.ResponseWriter, r *http.Request, number int) bool {
			switch number {
			case 1:
				cutOff(w, r, content, 70_000)
			case 2:
				w.Header().Set("Content-Range", "bytes 5-10/200000")
				w.WriteHeader(http.StatusPartialContent)
				w.Write(content[5:11])
			}
			return number <= 2
		}, ranges: []string{"", "70000", ""}},
		{name: "the bytes are wrong once", answer: func(w http.ResponseWriter, r *http.Request, number int) bool {
			if number == 1 {
				w.Write(noise(len(content), 99))
			}
			return number == 1
		}, ranges: []string{"", ""}},
		{name: "more comes than the file has", answer: func(w http.ResponseWriter, r *http.Request, number int) bool {
			if number == 1 {
				w.Write(append(content[:len(content):len(content)], "and more"...))
			}
			return number == 1
		}, ranges: []string{"", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testkit.NewHub(t)
			files := map[string][]byte{"a.parquet": content}
			server.Add(id, "main", nil, files)
			server.Misbehave = func(w http.ResponseWriter, r *http.Request, number int) bool {
				return !strings.Contains(r.URL.Path, "datasets") && test.answer(w, r, number)
			}
			c := client(t, server)
			_, err := c.Dataset(t.Context(), id, hub.Main) // with the patience of a loaded machine
			require.NoError(t, err)
			if test.stall > 0 {
				c.Stall = test.stall
			}
			download(t, c, files)
			var ranges []string
			for _, request := range server.Requests() {
				if !strings.Contains(request, "datasets") {
					_, asked, _ := strings.Cut(request, "bytes=")
					ranges = append(ranges, strings.TrimSuffix(asked, "-"))
				}
			}
			require.Equal(t, test.ranges, ranges)
		})
	}
}

func TestWhatStaysWrongIsGivenUpInOneLine(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		asked  int
		parts  []string
	}{
		{"wrong bytes", func(w http.ResponseWriter) { w.Write(noise(5000, 9)) }, 3, []string{"damaged 3 times", "checksum", "holds another file than it lists"}},
		{"500", func(w http.ResponseWriter) { w.WriteHeader(500) }, 6, []string{"500 Internal Server Error", "(6 attempts)"}},
		{"429 for an hour", func(w http.ResponseWriter) { w.Header().Set("Retry-After", "3600"); w.WriteHeader(429) }, 1, []string{"429 Too Many Requests", "come back in 1h0m0s"}},
		{"404", func(w http.ResponseWriter) { w.WriteHeader(404) }, 1, []string{"404 Not Found", "mend the name"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := testkit.NewHub(t)
			server.Add(id, "main", nil, map[string][]byte{"a.parquet": noise(5000, 1)})
			asked := 0
			server.Misbehave = func(w http.ResponseWriter, r *http.Request, number int) bool {
				if strings.Contains(r.URL.Path, "datasets") {
					return false
				}
				asked = number
				test.answer(w)
				return true
			}
			c := client(t, server)
			choice, err := c.Parquet(t.Context(), id, hub.Main, "", "")
			require.NoError(t, err)
			_, err = c.Download(t.Context(), choice.Dataset, choice.Files[0])
			requireLine(t, err, append(test.parts, "download a.parquet of dataset owner/set")...)
			require.Equal(t, test.asked, asked)
			_, whole := c.Cached(choice.Dataset, choice.Files[0])
			require.False(t, whole, "what is not whole must not look whole")
		})
	}
}

func TestAnotherClientGoesOnWhereACancelledOneStopped(t *testing.T) {
	server := testkit.NewHub(t)
	content := noise(300_000, 0)
	files := map[string][]byte{"a.parquet": content}
	server.Add(id, "main", nil, files)
	ctx, cancel := context.WithCancel(t.Context())
	server.Misbehave = func(w http.ResponseWriter, r *http.Request, number int) bool {
		if number == 1 && !strings.Contains(r.URL.Path, "datasets") {
			cutOff(w, r, content, 100_000)
			<-r.Context().Done()
			return true
		}
		return false
	}
	c := client(t, server)
	c.Progress = func(p hub.Progress) {
		if p.Done == 100_000 {
			cancel()
		}
	}
	choice, err := c.Parquet(t.Context(), id, hub.Main, "", "")
	require.NoError(t, err)
	_, err = c.Download(ctx, choice.Dataset, choice.Files[0])
	require.ErrorIs(t, err, context.Canceled)

	server.Requests()
	other := client(t, server)
	other.Cache = c.Cache
	download(t, other, files)
	requests := server.Requests()
	require.Contains(t, requests[len(requests)-1], "bytes=100000-")
}

func TestTwoAtOnceDownloadAFileOnce(t *testing.T) {
	server := testkit.NewHub(t)
	files := shards(3, 50_000)
	server.Add(id, "main", nil, files)
	first := client(t, server)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c := client(t, server)
			c.Cache = first.Cache
			download(t, c, files)
		})
	}
	all.Wait()
	fetched := 0
	for _, request := range server.Requests() {
		if strings.Contains(request, "/resolve/") {
			fetched++
		}
	}
	require.Equal(t, 3, fetched)
}
