package chat

import "sync"

// Cache keeps threads between requests that bring their whole conversation each time. When their states need more than
// its size, those unused longest go. It is safe for concurrent use.
type Cache struct {
	mu      sync.Mutex
	size    int64
	threads []*Thread // the one unused longest first
	closed  bool
}

// NewCache makes a cache for states of so many bytes in all.
func NewCache(size int64) *Cache { return &Cache{size: size} }

// Take takes out the longest thread that begins a conversation; nil if there is none. Give it back with Put, or Release
// it.
func (c *Cache) Take(conversation Conversation) *Thread {
	c.mu.Lock()
	defer c.mu.Unlock()
	best := -1
	for i, thread := range c.threads {
		if thread.Begins(conversation) && (best < 0 || len(thread.messages) > len(c.threads[best].messages)) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	thread := c.threads[best]
	c.threads = append(c.threads[:best], c.threads[best+1:]...)
	return thread
}

// Put takes over a thread; nil and one without a state are dropped.
func (c *Cache) Put(thread *Thread) {
	if thread.Bytes() == 0 {
		return
	}
	c.mu.Lock()
	c.threads = append(c.threads, thread)
	var out []*Thread
	for c.bytes() > c.size || (c.closed && len(c.threads) > 0) {
		out, c.threads = append(out, c.threads[0]), c.threads[1:]
	}
	c.mu.Unlock()
	for _, thread := range out {
		thread.Release()
	}
}

// Bytes is the size of all states kept.
func (c *Cache) Bytes() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes()
}

func (c *Cache) bytes() (sum int64) {
	for _, thread := range c.threads {
		sum += thread.Bytes()
	}
	return sum
}

// Close frees all states; threads put later are freed at once.
func (c *Cache) Close() {
	c.mu.Lock()
	threads := c.threads
	c.threads, c.closed = nil, true
	c.mu.Unlock()
	for _, thread := range threads {
		thread.Release()
	}
}
