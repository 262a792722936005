//go:build cgo

package xla

/*
#include "pjrt.h"
#include <string.h>

// PJRT_NamedValue and PJRT_DeviceDescription_Attributes_Args of PJRT's C API
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

enum { type_string = 0, type_int64 = 1 };

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
	void** functions = functions_of(api, index_description_attributes);
	if (functions == NULL || functions[index_description_attributes] == NULL) return;
	attributes_args args = {sizeof(attributes_args), NULL, description, 0, NULL};
	void* error = ((void* (*)(attributes_args*))functions[index_description_attributes])(&args);
	if (error != NULL) {
		destroy(functions, error);
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
	"fmt"
	"reflect"
	"unsafe"

	"github.com/gomlx/compute"
)

// limitsOf asks the backend's first device, which is the one that programs run on. XLA tells what we need among a device's
// attributes (xla/pjrt/gpu/se_gpu_topology_description.cc, SetupDeviceDescription); what a plugin does not tell is unknown.
func limitsOf(backend compute.Backend) (Limits, error) {
	client, api, err := pluginOf(backend)
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
	description, err := address(reflect.ValueOf(described), "deviceDescription")
	if err != nil {
		return Limits{}, fmt.Errorf("read the GPU's limits: %w", err)
	}
	return readLimits(*api, *description), nil
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
