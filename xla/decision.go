package xla

import (
	"log/slog"
	"os"
	"sort"
	"sync"
)

// KernelsVariable names the environment variable that, set to "off", makes every operation run its definition.
const KernelsVariable = "TANDEM_KERNELS"

// KernelsEnabled tells whether operations may use their CUDA kernels.
func KernelsEnabled() bool { return os.Getenv(KernelsVariable) != "off" }

// Decision counts how one operation was built into graphs, once for each graph and combination of input shapes.
type Decision struct {
	Operation  string `json:"operation"`
	Kernel     int    `json:"kernel"`
	Definition int    `json:"definition"`
	// Reason is why the definition was last taken where a kernel exists; "" if it never was, or no CUDA was in use.
	Reason string `json:"reason,omitempty"`
}

var decisions = struct {
	sync.Mutex
	byName map[string]*Decision
}{byName: map[string]*Decision{}}

// Decisions lists what was decided since the program started, by operation.
func Decisions() []Decision {
	decisions.Lock()
	defer decisions.Unlock()
	list := make([]Decision, 0, len(decisions.byName))
	for _, decision := range decisions.byName {
		list = append(list, *decision)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Operation < list[j].Operation })
	return list
}

// note counts a definition. The first reason of an operation for not taking its kernel is logged.
func note(operation, reason string) {
	decisions.Lock()
	defer decisions.Unlock()
	decision := decisionOf(operation)
	decision.Definition++
	if reason == "" {
		return
	}
	if decision.Reason == "" {
		slog.Warn(operation+" runs without its CUDA kernel", "reason", reason)
	}
	decision.Reason = reason
}

func noteKernel(operation string) {
	decisions.Lock()
	defer decisions.Unlock()
	decisionOf(operation).Kernel++
}

func decisionOf(operation string) *Decision {
	found, ok := decisions.byName[operation]
	if !ok {
		found = &Decision{Operation: operation}
		decisions.byName[operation] = found
	}
	return found
}
