package repl

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
)

// The line editor knows single lines only. A line break within a message is therefore this character while it is edited.
const lineBreak = "↵"

// show and unshow turn a message into what is edited, and back.
func show(message string) string { return strings.ReplaceAll(message, "\n", lineBreak) }
func unshow(line string) string  { return strings.ReplaceAll(line, lineBreak, "\n") }

// Keys as a terminal in raw mode sends them.
const (
	keyInterrupt = 3 // Ctrl-C
	altEnter     = "\x1b\r"
	pasteStart   = "\x1b[200~"
	pasteEnd     = "\x1b[201~"
	// dropLine goes to the end of the line, erases to its start, and enters what is left: nothing.
	dropLine = "\x05\x15\r"
)

// keys stands between a terminal in raw mode and the line editor. It reads ahead, so that Ctrl-C is seen during an
// answer, where it calls what was given to during; at the prompt it drops the line. It puts lineBreak for line breaks that
// are pasted or typed with Alt-Enter.
type keys struct {
	ctx context.Context

	mu          sync.Mutex
	ready       []byte // for the editor
	err         error
	cancel      func() // stops the running answer; nil at the prompt
	interrupted bool
	news        chan struct{} // holds a sign when ready or err changed

	held    []byte // may be the beginning of a key
	pasting bool
}

// newKeys begins to read. The reading ends with in, or with the program.
func newKeys(ctx context.Context, in io.Reader) *keys {
	k := &keys{ctx: ctx, news: make(chan struct{}, 1)}
	go func() {
		buffer := make([]byte, 4096)
		for {
			count, err := in.Read(buffer)
			k.take(buffer[:count], err)
			if err != nil {
				return
			}
		}
	}()
	return k
}

// during says what Ctrl-C does from now on; nil is to drop the line.
func (k *keys) during(cancel func()) {
	k.mu.Lock()
	k.cancel = cancel
	k.mu.Unlock()
}

// wasInterrupted says whether the last line was dropped by Ctrl-C, and forgets it.
func (k *keys) wasInterrupted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.interrupted
	k.interrupted = false
	return was
}

// ended says whether there are no more keys: the terminal is gone.
func (k *keys) ended() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.err != nil && len(k.ready) == 0
}

// Read gives the editor its keys.
func (k *keys) Read(p []byte) (int, error) {
	for {
		k.mu.Lock()
		count := copy(p, k.ready)
		k.ready = k.ready[count:]
		err := k.err
		k.mu.Unlock()
		if count > 0 {
			return count, nil
		}
		if err != nil {
			return 0, err
		}
		select {
		case <-k.news:
		case <-k.ctx.Done():
			return 0, k.ctx.Err()
		}
	}
}

// take translates what was typed.
func (k *keys) take(typed []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held = append(k.held, typed...)
	for len(k.held) > 0 {
		used := k.next()
		if used == 0 {
			break
		}
		k.held = k.held[used:]
	}
	k.err = err
	select {
	case k.news <- struct{}{}:
	default:
	}
}

// next translates the first key held and returns its bytes, 0 if more must come.
func (k *keys) next() int {
	end := pasteStart
	if k.pasting {
		end = pasteEnd
	}
	for _, sequence := range []string{end, altEnter, "\r\n"} {
		switch {
		case !bytes.HasPrefix(k.held, []byte(sequence)):
			if len(k.held) < len(sequence) && strings.HasPrefix(sequence, string(k.held)) && (k.pasting || k.held[0] != '\r') {
				return 0
			}
			continue
		case sequence == end:
			k.pasting = !k.pasting
			k.ready = append(k.ready, sequence...)
		case sequence == altEnter || k.pasting:
			k.ready = append(k.ready, lineBreak...)
		default:
			k.ready = append(k.ready, '\r')
		}
		return len(sequence)
	}
	switch key := k.held[0]; {
	case !k.pasting && key == keyInterrupt:
		k.interrupt()
	case !k.pasting:
		k.ready = append(k.ready, key)
	case key == '\r' || key == '\n':
		k.ready = append(k.ready, lineBreak...)
	case key >= ' ' && key != 0x7f || key == '\t':
		k.ready = append(k.ready, key) // other control characters do not belong in a message
	}
	return 1
}

func (k *keys) interrupt() {
	if k.cancel != nil {
		k.cancel()
		return
	}
	k.ready, k.interrupted = append(k.ready, dropLine...), true
}
