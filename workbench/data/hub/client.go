package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Client reads from one hub into one cache. It is safe for concurrent use; its fields are set before that.
type Client struct {
	// Endpoint is the hub or a mirror of it: a URL without a slash at its end.
	Endpoint string
	// Token is sent to the endpoint, and to no other host; "" sends none.
	Token string
	// Cache is the folder that holds datasets--OWNER--NAME and the like.
	Cache string
	// Offline uses what is in the cache alone.
	Offline bool
	// Attempts is how often in a row a request may fail before it is given up; 0 is 6.
	Attempts int
	// Backoff is the wait before the second attempt, doubled for each one after it; 0 is one second.
	Backoff time.Duration
	// Stall is the silence of the hub after which an attempt has failed; 0 is 30 seconds.
	Stall time.Duration
	// Say is told of waits and of falling back to the cache, Progress of each file's bytes; either may be nil. Progress
	// may be called from several goroutines at once.
	Say      func(string)
	Progress func(Progress)

	once   sync.Once
	client *http.Client
}

// Progress is how far one file is.
type Progress struct {
	Dataset, File string
	Done, Size    int64 // in bytes
}

const defaultEndpoint = "https://huggingface.co"

// FromEnvironment is the client that the variables of the hub's own tools describe:
//
//	HF_ENDPOINT     the hub, or a mirror of it
//	HF_TOKEN        the access token; without it the file HF_TOKEN_PATH, or HF_HOME/token, which "hf auth login" writes
//	HF_HOME         a folder; without it XDG_CACHE_HOME/huggingface or ~/.cache/huggingface
//	HF_HUB_CACHE    the cache; without it HF_HOME/hub
//	HF_HUB_OFFLINE  1 uses what is in the cache alone
//
// A folder may begin with ~ and name variables, as $HOME, for those who set it where no shell expands them.
func FromEnvironment() (*Client, error) {
	endpoint := strings.TrimRight(cmp.Or(os.Getenv("HF_ENDPOINT"), defaultEndpoint), "/")
	if u, err := url.Parse(endpoint); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("HF_ENDPOINT %q: no http or https URL; give one such as %s, or unset it", endpoint, defaultEndpoint)
	}
	home, err := homeFolder()
	if err != nil {
		return nil, err
	}
	token := strings.TrimSpace(os.Getenv("HF_TOKEN"))
	if token == "" {
		path := cmp.Or(folderVariable("HF_TOKEN_PATH"), filepath.Join(home, "token"))
		kept, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the hub's token: %w; set HF_TOKEN, or mend the file", err)
		}
		token = strings.TrimSpace(string(kept))
	}
	return &Client{
		Endpoint: endpoint, Token: token,
		Cache:   cmp.Or(folderVariable("HF_HUB_CACHE"), filepath.Join(home, "hub")),
		Offline: slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(os.Getenv("HF_HUB_OFFLINE"))),
	}, nil
}

func homeFolder() (string, error) {
	if home := folderVariable("HF_HOME"); home != "" {
		return home, nil
	}
	if cache := folderVariable("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(cache, "huggingface"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("find the hub's cache: %w; set HF_HOME to a folder", err)
	}
	return filepath.Join(home, ".cache", "huggingface"), nil
}

// folderVariable is a variable that names a path, expanded as the hub's own tools do it.
func folderVariable(name string) string {
	value := os.Getenv(name)
	if rest, found := strings.CutPrefix(value, "~"); found && (rest == "" || os.IsPathSeparator(rest[0])) {
		if home, err := os.UserHomeDir(); err == nil {
			value = home + rest
		}
	}
	return os.ExpandEnv(value)
}

func (c *Client) say(format string, values ...any) {
	if c.Say != nil {
		c.Say(fmt.Sprintf(format, values...))
	}
}

func (c *Client) stall() time.Duration { return cmp.Or(c.Stall, 30*time.Second) }

// http is made once, so that connections are used again.
func (c *Client) http() *http.Client {
	c.once.Do(func() {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = c.stall()
		c.client = &http.Client{Transport: authorised{c, transport}}
	})
	return c.client
}

// authorised adds the token to requests to the endpoint. Files are redirected to other hosts, which must never see it;
// net/http would carry a header over to subdomains and to other ports of the same host.
type authorised struct {
	*Client
	next http.RoundTripper
}

func (a authorised) RoundTrip(r *http.Request) (*http.Response, error) {
	if own, err := url.Parse(a.Endpoint); err == nil && a.Token != "" && r.URL.Host == own.Host && r.URL.Scheme == own.Scheme {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+a.Token)
	}
	return a.next.RoundTrip(r)
}
