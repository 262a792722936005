//go:build cgo

package xla

/*
#include "pjrt.h"

// PJRT_Device_MemoryStats_Args of PJRT's C API (xla/pjrt/c/pjrt_c_api.h in go-xla), which only ever appends to it. go-xla
// v0.4.1 has no Go function for it.
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

// read_memory_stats returns whether the plugin answered.
static bool read_memory_stats(void* api, memory_stats* stats) {
	void** functions = functions_of(api, index_memory_stats);
	if (functions == NULL || functions[index_memory_stats] == NULL) return false;
	stats->struct_size = offsetof(memory_stats, peak_pool_bytes_is_set) + sizeof(bool);
	void* error = ((void* (*)(memory_stats*))functions[index_memory_stats])(stats);
	if (error != NULL) destroy(functions, error);
	return error == NULL;
}
*/
import "C"

import (
	"fmt"
	"reflect"
)

// MemoryUse asks the device's allocator; only CUDA's tells.
func (d *Device) MemoryUse() (MemoryUse, error) {
	decorated, ok := d.Backend.(*kernels)
	if !ok {
		return MemoryUse{}, fmt.Errorf("read memory in use: backend %s has no allocator of its own", d.Kind)
	}
	client, api, err := pluginOf(decorated.Backend)
	if err != nil {
		return MemoryUse{}, fmt.Errorf("read memory in use: %w", err)
	}
	devices := client.AddressableDevices()
	if len(devices) == 0 {
		return MemoryUse{}, fmt.Errorf("read memory in use: backend %s has no device", d.Kind)
	}
	device, err := address(reflect.ValueOf(devices[0]), "cDevice")
	if err != nil {
		return MemoryUse{}, fmt.Errorf("read memory in use: %w", err)
	}
	stats := C.memory_stats{device: *device}
	if !C.read_memory_stats(*api, &stats) {
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
