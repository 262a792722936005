//go:build cgo

package xla

/*
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// PJRT_Device_MemoryStats_Args and PJRT_Error_Destroy_Args of PJRT's C API (xla/pjrt/c/pjrt_c_api.h in go-xla), which
// only ever appends to them. go-xla v0.4.1 has no Go function for them.
typedef struct {
	size_t struct_size;
	void* extension_start;
	void* device;
	int64_t bytes_in_use;
	int64_t peak_bytes_in_use;
	bool peak_bytes_in_use_is_set;
	int64_t num_allocs;
	bool num_allocs_is_set;
	int64_t largest_alloc_size;
	bool largest_alloc_size_is_set;
	int64_t bytes_limit;
	bool bytes_limit_is_set;
	int64_t bytes_reserved;
	bool bytes_reserved_is_set;
	int64_t peak_bytes_reserved;
	bool peak_bytes_reserved_is_set;
	int64_t bytes_reservable_limit;
	bool bytes_reservable_limit_is_set;
	int64_t largest_free_block_bytes;
	bool largest_free_block_bytes_is_set;
	int64_t pool_bytes;
	bool pool_bytes_is_set;
	int64_t peak_pool_bytes;
	bool peak_pool_bytes_is_set;
} memory_stats;

typedef struct {
	size_t struct_size;
	void* extension_start;
	void* error;
} destroy_error;

// The functions of PJRT_Api stand one after another behind its size, extensions and version.
enum { functions_offset = 40, index_error_destroy = 0, index_memory_stats = 34 };

// read_memory_stats returns whether the plugin answered.
static bool read_memory_stats(void* api, memory_stats* stats) {
	if (*(size_t*)api < functions_offset + (index_memory_stats + 1) * sizeof(void*)) return false;
	void** functions = (void**)((char*)api + functions_offset);
	void* (*memory)(memory_stats*) = functions[index_memory_stats];
	void (*destroy)(destroy_error*) = functions[index_error_destroy];
	stats->struct_size = offsetof(memory_stats, peak_pool_bytes_is_set) + sizeof(bool);
	void* error = memory == NULL ? NULL : memory(stats);
	if (error == NULL) return memory != NULL;
	destroy_error arguments = {sizeof(destroy_error), NULL, error};
	destroy(&arguments);
	return false;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"

	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// MemoryUse asks the device's allocator; only CUDA's tells.
func (d *Device) MemoryUse() (MemoryUse, error) {
	decorated, ok := d.Backend.(*kernels)
	if !ok {
		return MemoryUse{}, fmt.Errorf("read memory in use: backend %s has no allocator of its own", d.Kind)
	}
	backend, ok := decorated.Backend.(*goxla.Backend)
	if !ok {
		return MemoryUse{}, fmt.Errorf("read memory in use: the backend is a %T, not go-xla's", decorated.Backend)
	}
	client, err := field[*pjrt.Client](reflect.ValueOf(backend), "client")
	if err != nil {
		return MemoryUse{}, fmt.Errorf("read memory in use: %w", err)
	}
	api := reflect.ValueOf(client.Plugin()).Elem().FieldByName("api")
	devices := client.AddressableDevices()
	if api.Kind() != reflect.Pointer || len(devices) == 0 {
		return MemoryUse{}, errors.New("read memory in use: go-xla's plugin has no field api; pin go-xla to v0.4.1")
	}
	device := reflect.ValueOf(devices[0]).Elem().FieldByName("cDevice")
	if device.Kind() != reflect.Pointer {
		return MemoryUse{}, errors.New("read memory in use: go-xla's device has no field cDevice; pin go-xla to v0.4.1")
	}
	stats := C.memory_stats{device: device.UnsafePointer()}
	if !C.read_memory_stats(api.UnsafePointer(), &stats) {
		return MemoryUse{}, fmt.Errorf("read memory in use: the plugin of backend %s does not tell", d.Kind)
	}
	use := MemoryUse{InUse: int64(stats.bytes_in_use)}
	if stats.peak_bytes_in_use_is_set {
		use.Peak = int64(stats.peak_bytes_in_use)
	}
	if stats.bytes_limit_is_set {
		use.Limit = int64(stats.bytes_limit)
	}
	return use, nil
}
