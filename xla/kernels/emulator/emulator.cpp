// Runs one launch of a kernel that is linked to it. The launch comes on standard input: lines of text, then the contents of
// the buffers that have any, one after the other.
//
//   launch ENTRY GRID_X _Y _Z BLOCK_X _Y _Z SHARED
//   constant NAME VALUE              a size, or what the source tells about itself, which must be the same here
//   buffer KIND BYTES                operand: is read only, and has contents; place: has contents, and is a result too; result
//   argument BUFFER                  the number of a buffer, once for each argument of the entry
//   run
//
// The results and places go to standard output, one after the other. The launch runs twice, in opposite orders of blocks and
// threads, and both must give the same. Whatever is wrong ends the process with a message on standard error.
#include <dlfcn.h>
#include <sanitizer/asan_interface.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "emulator.h"
#include "fibers.h"

extern "C" const char *__asan_default_options() { return "detect_leaks=0:detect_stack_use_after_return=0:handle_abort=0"; }

namespace emulator {

alignas(256) char dynamicShared[kMostShared];

constexpr int kFirstPlaceholder = 0x7A000000, kLastPlaceholder = 0x7A0000FF; // as in ../../ptx.go
constexpr size_t kMostArguments = 24;
constexpr int kUnwritten = 0xff; // in every byte, a NaN in all dtypes

static std::string entry = "?";

static void whereabouts() {
  fprintf(stderr, "%s, block %u,%u,%u, thread %u,%u,%u\n", entry.c_str(), blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
}

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  fprintf(stderr, " in ");
  whereabouts();
  _exit(1);
}

// allocate gives NaN, aligned as XLA aligns buffers. Behind it is none of ours.
static char *allocate(size_t bytes) {
  void *memory;
  if (posix_memalign(&memory, 256, bytes)) {
    fail("no memory");
  }
  return static_cast<char *>(memset(memory, kUnwritten, bytes));
}

struct SharedArray {
  const char *function, *name;
  void *memory;
};
static std::vector<SharedArray> sharedArrays; // of the block

void *shared(const char *function, const char *name, size_t bytes) {
  for (const SharedArray &array : sharedArrays) {
    if (array.function == function && !strcmp(array.name, name)) {
      return array.memory;
    }
  }
  sharedArrays.push_back({function, name, allocate(bytes)});
  return sharedArrays.back().memory;
}

static void clearShared(size_t dynamic) {
  for (const SharedArray &array : sharedArrays) {
    free(array.memory);
  }
  sharedArrays.clear();
  memset(dynamicShared, kUnwritten, dynamic);
}

namespace {

struct Buffer {
  std::string kind;
  size_t bytes;
  std::vector<char> before; // of an operand or place
  char *memory;

  // renew makes it what it is before a launch.
  void renew() {
    if (before.empty()) {
      memset(memory, kUnwritten, bytes);
    } else {
      memcpy(memory, before.data(), bytes);
    }
  }
};

struct Launch {
  uint3 grid, block;
  size_t shared;
  void *code;
  std::vector<Buffer> buffers;
  std::vector<void *> arguments;
};

void setConstant(const char *name, unsigned value) {
  int *constant = static_cast<int *>(dlsym(RTLD_DEFAULT, name));
  if (!constant) {
    fail("the source has no constant %s", name);
  }
  const bool isSize = *constant >= kFirstPlaceholder && *constant <= kLastPlaceholder;
  if (!isSize && *constant != int(value)) {
    fail("%s is %d here and %d in the PTX text", name, *constant, int(value));
  }
  *constant = int(value);
}

void readLine(Launch &launch, const char *line) {
  char name[200];
  size_t number;
  unsigned value;
  uint3 &g = launch.grid, &b = launch.block;
  if (sscanf(line, "launch %199s %u %u %u %u %u %u %zu", name, &g.x, &g.y, &g.z, &b.x, &b.y, &b.z, &launch.shared) == 8) {
    entry = name;
    launch.code = dlsym(RTLD_DEFAULT, name);
  } else if (sscanf(line, "constant %199s %u", name, &value) == 2) {
    setConstant(name, value);
  } else if (sscanf(line, "buffer %199s %zu", name, &number) == 2) {
    launch.buffers.push_back({name, number, {}, allocate(number)});
    launch.buffers.back().before.resize(launch.buffers.back().kind == "result" ? 0 : number);
  } else if (sscanf(line, "argument %zu", &number) == 1) {
    launch.arguments.push_back(launch.buffers.at(number).memory);
  } else {
    fail("cannot read the line %s", line);
  }
}

Launch readLaunch() {
  Launch launch{};
  char line[300];
  while (fgets(line, sizeof line, stdin) && strcmp(line, "run\n")) {
    readLine(launch, line);
  }
  if (!launch.code || launch.arguments.size() > kMostArguments || launch.shared > kMostShared) {
    fail("no such entry, more than %zu arguments, or %zu bytes of shared memory", kMostArguments, launch.shared);
  }
  for (Buffer &buffer : launch.buffers) {
    if (!buffer.before.empty() && fread(buffer.before.data(), buffer.bytes, 1, stdin) != 1) {
      fail("the buffers have too few bytes");
    }
  }
  launch.arguments.resize(kMostArguments);
  return launch;
}

// call gives the entry more arguments than it takes, which C's calling convention allows.
template <size_t... I> void call(void *code, void *const *arguments, std::index_sequence<I...>) {
  reinterpret_cast<void (*)(decltype(static_cast<void>(I), static_cast<void *>(nullptr))...)>(code)(arguments[I]...);
}

std::vector<std::vector<char>> run(Launch &launch, bool backwards) {
  for (Buffer &buffer : launch.buffers) {
    buffer.renew();
  }
  gridDim = launch.grid, blockDim = launch.block;
  const unsigned blocks = gridDim.x * gridDim.y * gridDim.z;
  for (unsigned n = 0; n < blocks; n++) {
    const unsigned i = backwards ? blocks - 1 - n : n;
    blockIdx = {i % gridDim.x, i / gridDim.x % gridDim.y, i / gridDim.x / gridDim.y};
    clearShared(launch.shared);
    runBlock([&] { call(launch.code, launch.arguments.data(), std::make_index_sequence<kMostArguments>()); }, backwards);
  }
  std::vector<std::vector<char>> after;
  for (const Buffer &buffer : launch.buffers) {
    after.emplace_back(buffer.memory, buffer.memory + buffer.bytes);
    if (buffer.kind == "operand" && after.back() != buffer.before) {
      fail("buffer %zu was written, which is an operand alone,", after.size() - 1);
    }
  }
  return after;
}

} // namespace
} // namespace emulator

int main() {
  using namespace emulator;
  __sanitizer_set_death_callback(whereabouts);
  Launch launch = readLaunch();
  __asan_poison_memory_region(dynamicShared + launch.shared, kMostShared - launch.shared);
  const auto forwards = run(launch, false), backwards = run(launch, true);
  for (size_t i = 0; i < forwards.size(); i++) {
    const auto differs = std::mismatch(forwards[i].begin(), forwards[i].end(), backwards[i].begin()).first;
    if (differs != forwards[i].end()) {
      fail("a race: buffer %zu depends on the order of threads from byte %td on", i, differs - forwards[i].begin());
    }
    if (launch.buffers[i].kind != "operand") {
      fwrite(forwards[i].data(), 1, forwards[i].size(), stdout);
    }
  }
  return fflush(stdout) ? 1 : 0;
}
