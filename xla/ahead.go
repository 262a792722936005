//go:build cgo

package xla

/*
#include "pjrt.h"
#include <stdlib.h>
#include <string.h>

// PJRT_LoadedExecutable_Execute_Args of PJRT's C API (xla/pjrt/c/pjrt_c_api.h in go-xla).
typedef struct {
	size_t struct_size;
	void* extension_start;
	void* executable;
	void* options;
	void* argument_lists;
	size_t num_devices;
	size_t num_args;
	void* output_lists;
	void** device_complete_events;
	void* execute_device;
} execute_args;

typedef void* (*execute_function)(execute_args*);

static execute_function execute;
static _Thread_local int ahead;

// execute_ahead asks for no event, and so leaves go-xla none to wait for.
static void* execute_ahead(execute_args* args) {
	if (ahead) args->device_complete_events = NULL;
	return execute(args);
}

static void set_ahead(int on) { ahead = on; }

// execute_of tells execute_ahead what to call. There is one such function in a process, and so one plugin that runs ahead.
static int execute_of(void* original) {
	if (execute != NULL && (void*)execute != original) return 0;
	execute = (execute_function)original;
	return 1;
}

// with_execute_ahead copies the table of functions, with execute_ahead in the place of original. The copy lives as long as the
// process, as the plugin does.
static void* with_execute_ahead(void* api, void** original) {
	if (functions_of(api, index_execute) == NULL) return NULL;
	size_t size = *(size_t*)api;
	void* copy = malloc(size);
	if (copy == NULL) return NULL;
	memcpy(copy, api, size);
	void** functions = functions_of(copy, index_execute);
	*original = functions[index_execute];
	functions[index_execute] = (void*)execute_ahead;
	return copy;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/pjrt"
)

// go-xla v0.4.1 waits in every execution until the device is done, and the device then waits for the host to prepare the
// next: 1 to 2.5 ms. PJRT itself does not wait: what an execution gives may be an argument of the next one at once, and
// reading it waits. So we put a function of our own into PJRT's table of functions, which does not ask for the event that
// go-xla would wait for, where the program is one of those that run ahead (Program.RunAhead).
//
// On CUDA alone: on a CPU host and device are one, and tensors from Go share their memory with it, which go-xla frees with the
// tensor, whether or not a program still reads it. A GPU's buffers PJRT keeps until the programs that were launched on them are
// done, and so it does with the programs themselves.

// plugins are those whose table has our function.
var plugins = struct {
	sync.Mutex
	done map[*pjrt.Plugin]bool
}{done: map[*pjrt.Plugin]bool{}}

// allowAhead puts our function into the table of the backend's plugin.
func allowAhead(backend compute.Backend) error {
	client, api, err := pluginOf(backend)
	if err != nil {
		return fmt.Errorf("run programs ahead: %w", err)
	}
	plugins.Lock()
	defer plugins.Unlock()
	if plugins.done[client.Plugin()] {
		return nil
	}
	table, original := tableWithAhead(*api)
	if table == nil {
		return errors.New("run programs ahead: the plugin's table of functions is shorter than PJRT's")
	}
	if C.execute_of(original) == 0 {
		return errors.New("run programs ahead: another CUDA plugin does so in this process; open one of them")
	}
	*api = table
	plugins.done[client.Plugin()] = true
	return nil
}

// tableWithAhead copies PJRT's table of functions, with ours in the place of original, which executes; nil if it has none.
func tableWithAhead(api unsafe.Pointer) (table, original unsafe.Pointer) {
	table = C.with_execute_ahead(api, &original)
	return table, original
}

// runAhead calls fn, in which no execution waits for the device.
func runAhead(fn func()) {
	runtime.LockOSThread() // the sign is the thread's
	defer runtime.UnlockOSThread()
	C.set_ahead(1)
	defer C.set_ahead(0)
	fn()
}
