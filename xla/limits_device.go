//go:build cgo

package xla

/*
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// PJRT_NamedValue, PJRT_DeviceDescription_Attributes_Args and PJRT_Error_Destroy_Args of PJRT's C API
// (xla/pjrt/c/pjrt_c_api.h in go-xla), which only ever appends to them. go-xla v0.4.1 has no Go function for them.
typedef struct {
	size_t struct_size;
	void* extension_start;
	const char* name;
	size_t name_size;
	int type;
	union {
		const char* string_value;
		int64_t int64_value;
	};
	size_t value_size;
} named_value;

typedef struct {
	size_t struct_size;
	void* extension_start;
	void* device_description;
	size_t num_attributes;
	const named_value* attributes;
} attributes_args;

typedef struct {
	size_t struct_size;
	void* extension_start;
	void* error;
} destroy_error;

enum { type_string = 0, type_int64 = 1 };

// The functions of PJRT_Api stand one after another behind its size, extensions and version; see allocator.go.
enum { functions_offset = 40, index_error_destroy = 0, index_description_attributes = 25 };

// device_limits are the attributes that we read. The text belongs to the device.
typedef struct {
	int64_t shared_memory;
	const char* capability;
	size_t capability_size;
} device_limits;

static bool has(const named_value* value, const char* name, int type) {
	return value->type == type && value->name_size == strlen(name) && memcmp(value->name, name, value->name_size) == 0;
}

// read_limits leaves as they are the limits that the plugin does not tell.
static void read_limits(void* api, void* description, device_limits* limits) {
	if (*(size_t*)api < functions_offset + (index_description_attributes + 1) * sizeof(void*)) return;
	void** functions = (void**)((char*)api + functions_offset);
	void* (*attributes)(attributes_args*) = functions[index_description_attributes];
	void (*destroy)(destroy_error*) = functions[index_error_destroy];
	if (attributes == NULL) return;
	attributes_args args = {sizeof(attributes_args), NULL, description, 0, NULL};
	void* error = attributes(&args);
	if (error != NULL) {
		destroy_error arguments = {sizeof(destroy_error), NULL, error};
		destroy(&arguments);
		return;
	}
	for (size_t i = 0; i < args.num_attributes; i++) {
		const named_value* value = &args.attributes[i];
		if (value->struct_size != sizeof(named_value)) return; // in a longer one the next stands elsewhere
		if (has(value, "shared_memory_per_block_optin", type_int64)) limits->shared_memory = value->int64_value;
		if (has(value, "compute_capability", type_string)) {
			limits->capability = value->string_value;
			limits->capability_size = value->value_size;
		}
	}
}
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/gomlx/compute"
	goxla "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// limitsOf asks the backend's first device, which is the one that programs run on. XLA tells what we need among a device's
// attributes (xla/pjrt/gpu/se_gpu_topology_description.cc, SetupDeviceDescription); what a plugin does not tell is unknown.
func limitsOf(backend compute.Backend) (Limits, error) {
	own, ok := backend.(*goxla.Backend)
	if !ok {
		return Limits{}, fmt.Errorf("read the GPU's limits: the backend is a %T, not go-xla's; pin go-xla to v0.4.1", backend)
	}
	client, err := field[*pjrt.Client](reflect.ValueOf(own), "client")
	if err != nil {
		return Limits{}, fmt.Errorf("read the GPU's limits: %w", err)
	}
	devices := client.AddressableDevices()
	if len(devices) == 0 {
		return Limits{}, nil
	}
	described, err := devices[0].GetDescription()
	if err != nil {
		return Limits{}, fmt.Errorf("read the GPU's limits: %w", err)
	}
	api := reflect.ValueOf(client.Plugin()).Elem().FieldByName("api")
	description := reflect.ValueOf(described).Elem().FieldByName("deviceDescription")
	if api.Kind() != reflect.Pointer || description.Kind() != reflect.Pointer {
		return Limits{}, errors.New("read the GPU's limits: go-xla's plugin has no field api, or its description no field deviceDescription; pin go-xla to v0.4.1")
	}
	return readLimits(api.UnsafePointer(), description.UnsafePointer()), nil
}

// readLimits asks PJRT's table of functions for the attributes of a PJRT_DeviceDescription.
func readLimits(api, description unsafe.Pointer) Limits {
	var told C.device_limits
	C.read_limits(api, description, &told)
	limits := Limits{SharedMemory: int(told.shared_memory)}
	if told.capability != nil {
		limits.ComputeCapability = C.GoStringN(told.capability, C.int(told.capability_size))
	}
	return limits.withDefaults()
}
