package repl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine is the bytes of a line of standard input at most.
const maxLine = 1 << 20

// Lines takes the lines of a file or a pipe until its end, errQuit or an error, which names the line.
func Lines(ctx context.Context, taker Taker, in io.Reader) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	lines := make(chan string)
	go func() { // waits for input when the program is interrupted, and ends with it
		defer close(lines)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for number := 1; ; number++ {
		select {
		case <-ctx.Done():
			return fmt.Errorf("read standard input: %w", ctx.Err())
		case line, more := <-lines:
			if !more {
				if ctx.Err() != nil {
					return fmt.Errorf("read standard input: %w", ctx.Err())
				}
				if errors.Is(scanner.Err(), bufio.ErrTooLong) {
					return fmt.Errorf("read line %d of standard input: it is longer than %d bytes; give it in shorter lines", number, maxLine)
				}
				if err := scanner.Err(); err != nil {
					return fmt.Errorf("read line %d of standard input: %w", number, err)
				}
				return nil
			}
			if strings.TrimSpace(line) == "" {
				continue
			}
			if err := taker.Line(ctx, line); errors.Is(err, errQuit) {
				return nil
			} else if err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
	}
}
