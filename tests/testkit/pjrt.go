//go:build cgo

package testkit

/*
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Parts of PJRT's C API as a plugin has them, written apart from those that xla reads them with.
typedef struct {
	size_t struct_size;
	void* extension_start;
	const char* name;
	size_t name_size;
	int type;
	union {
		const char* text;
		int64_t number;
	} value;
	size_t value_size;
} fake_value;

typedef struct {
	size_t count;
	fake_value* values;
	int fails;
} fake_description;

typedef struct {
	size_t struct_size;
	void* extension_start;
	fake_description* description;
	size_t count;
	fake_value* values;
} fake_args;

static int errors; // that were given and not yet destroyed

static void* fake_attributes(fake_args* args) {
	args->count = args->description->count;
	args->values = args->description->values;
	if (!args->description->fails) return NULL;
	errors++;
	return &errors;
}

static void fake_destroy(void** args) {
	if (args[2] == &errors) errors--;
}

static int fake_errors() { return errors; }

// fake_table has so many functions behind five words.
static void* fake_table(int functions) {
	void** table = calloc(5 + 26, sizeof(void*));
	*(size_t*)table = (5 + functions) * sizeof(void*);
	table[5] = fake_destroy;
	table[5 + 25] = fake_attributes;
	return table;
}

static fake_description* fake_describe(int count, int fails) {
	fake_description* description = calloc(1, sizeof(fake_description));
	description->count = count;
	description->values = calloc(count + 1, sizeof(fake_value));
	description->fails = fails;
	return description;
}

// fake_add sets one value: a text if there is one. The text has no end of its own, as texts of C++ need none.
static void fake_add(fake_description* description, int at, size_t struct_size, const char* name, const char* text, int64_t number) {
	fake_value* value = &description->values[at];
	value->struct_size = struct_size;
	value->name = name;
	value->name_size = strlen(name);
	value->type = text == NULL ? 1 : 0;
	value->value_size = 1;
	value->value.number = number;
	if (text == NULL) return;
	value->value_size = strlen(text);
	char* copy = malloc(value->value_size + 1);
	memcpy(copy, text, value->value_size);
	copy[value->value_size] = '!';
	value->value.text = copy;
}
*/
import "C"

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// FakeGPU stands for a device of a PJRT plugin.
type FakeGPU struct {
	// Attributes are its description's, each a string or an int64.
	Attributes map[string]any
	// Functions is how many the plugin's table has; 0 is as many as it takes to read the attributes.
	Functions int
	// ValueSize is what the plugin says is the size of a PJRT_NamedValue; 0 is that of go-xla v0.4.1.
	ValueSize int
	// Fails makes reading the attributes an error.
	Fails bool
}

// Make returns a table of functions, a PJRT_Api, and a PJRT_DeviceDescription for it. They live as long as the process.
func (f FakeGPU) Make(t testing.TB) (api, description unsafe.Pointer) {
	t.Helper()
	if f.Functions == 0 {
		f.Functions = 26
	}
	if f.ValueSize == 0 {
		f.ValueSize = 56
	}
	fails, at := C.int(0), 0
	if f.Fails {
		fails = 1
	}
	described := C.fake_describe(C.int(len(f.Attributes)), fails)
	for name, attribute := range f.Attributes {
		var text *C.char
		var number C.int64_t
		switch value := attribute.(type) {
		case string:
			text = C.CString(value)
		case int64:
			number = C.int64_t(value)
		default:
			require.Fail(t, "an attribute is a string or an int64", "%s is a %T", name, attribute)
		}
		C.fake_add(described, C.int(at), C.size_t(f.ValueSize), C.CString(name), text, number)
		at++
	}
	return C.fake_table(C.int(f.Functions)), unsafe.Pointer(described)
}

// FakeErrors is the number of errors that fake GPUs gave and nobody destroyed.
func FakeErrors() int { return int(C.fake_errors()) }
