package notebook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"tandem/workbench/lab"
)

// FolderVariable names the environment variable with the folder in which cells run and runs/ lies; without it that is
// the root of the clone.
const FolderVariable = "TANDEM_FOLDER"

func init() {
	if !gonbui.IsNotebook {
		return
	}
	lab.SetDisplay(display{})
	lab.UseSession()
	if err := enterFolder(os.Getenv(protocol.GONB_DIR_ENV)); err != nil {
		display{}.Show(lab.Panel{Err: err})
	}
}

// enterFolder makes the clone around a notebook's folder the working folder.
func enterFolder(start string) error {
	folder := os.Getenv(FolderVariable)
	if folder == "" {
		var err error
		if folder, err = cloneAround(start); err != nil {
			return err
		}
	}
	if err := os.Chdir(folder); err != nil {
		return fmt.Errorf("enter the folder of runs: %w; %s may name another", err, FolderVariable)
	}
	return nil
}

// cloneAround is the nearest folder, upwards, that is the root of this module.
func cloneAround(start string) (string, error) {
	folder, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for {
		text, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module tandem\n") {
			return folder, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return "", fmt.Errorf("find the clone around %s: there is none; runs go to that folder; set %s to another", start, FolderVariable)
		}
		folder = parent
	}
}

// display sends HTML to the front-end.
type display struct{}

// Show implements lab.Display. It returns when the front-end has it, so that the program may end.
func (display) Show(p lab.Panel) {
	gonbui.DisplayHTML(panelHTML(p))
	gonbui.Sync()
}

// Live implements lab.Display.
func (display) Live() func(lab.Panel) {
	id := "tandem_" + gonbui.UniqueId()
	return func(p lab.Panel) {
		gonbui.UpdateHTML(id, panelHTML(p))
		gonbui.Sync()
	}
}

// Ask implements lab.Display: question and answer are bubbles, and the answer grows.
func (display) Ask(question string) (write func(string), end func()) {
	var answer strings.Builder
	var mutex sync.Mutex
	id := "tandem_" + gonbui.UniqueId()
	show := func(done bool) { gonbui.UpdateHTML(id, talkHTML(question, answer.String(), done)) }
	show(false)
	write = func(piece string) {
		mutex.Lock()
		defer mutex.Unlock()
		answer.WriteString(piece)
		show(false)
	}
	return write, func() {
		mutex.Lock()
		defer mutex.Unlock()
		show(true)
		gonbui.Sync()
	}
}
