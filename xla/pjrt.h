// What allocator.go, ahead.go and limits_device.go share of PJRT's C API (xla/pjrt/c/pjrt_c_api.h in go-xla).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The functions of PJRT_Api stand one after another behind its size, extensions and version.
enum { functions_offset = 40 };

enum { index_error_destroy = 0, index_description_attributes = 25, index_memory_stats = 34, index_execute = 55 };

// functions_of is the table's functions, or NULL if it is too short to have the one of an index.
static inline void** functions_of(void* api, int index) {
	if (*(size_t*)api < functions_offset + (index + 1) * sizeof(void*)) return NULL;
	return (void**)((char*)api + functions_offset);
}

// destroy frees a PJRT_Error (PJRT_Error_Destroy_Args).
static inline void destroy(void** functions, void* error) {
	struct {
		size_t struct_size;
		void* extension_start;
		void* error;
	} args = {sizeof(args), NULL, error};
	((void (*)(void*))functions[index_error_destroy])(&args);
}
