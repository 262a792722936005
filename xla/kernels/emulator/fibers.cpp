#include "fibers.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <string>
#include <vector>

#include "emulator.h"

uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {
namespace {

constexpr size_t kStack = 256 << 10, kGuard = 64 << 10; // the guard is its lower end, which must not be reached

enum class State { ready, inWarp, inBlock, ended };

struct Fiber {
  ucontext_t start;
  void *resume[5]; // of __builtin_setjmp, for ucontext would ask the kernel at each switch
  bool started = false;
  State state;
  uint3 index;
  const char *file; // of the barrier that it waits at
  int line;
  int turn; // of exchanges, by which to take turns between two places
};

struct Warp {
  std::vector<Fiber *> lanes;
  Operand given[2][32];
};

std::vector<Fiber *> fibers; // kept from block to block
std::vector<Warp> warps;
const std::function<void()> *kernel;
Fiber *current;
void *scheduler[5];

// jump must be unknown to its callers, or g++ takes it that they do not return.
[[gnu::noipa]] void jump(void **to) { __builtin_longjmp(to, 1); }

// leave goes back to the scheduler, and returns when that resumes this fiber.
[[gnu::noipa]] void leave() {
  if (__builtin_setjmp(current->resume) == 0) {
    jump(scheduler);
  }
}

void live() {
  for (;;) {
    (*kernel)();
    current->state = State::ended;
    leave();
  }
}

[[gnu::noipa]] void resume(Fiber *fiber) {
  current = fiber;
  threadIdx = fiber->index;
  if (__builtin_setjmp(scheduler) == 0) {
    if (current->started) {
      jump(current->resume);
    }
    current->started = true;
    setcontext(&current->start);
  }
}

Fiber *newFiber() {
  Fiber *fiber = new Fiber;
  void *stack = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED || mprotect(stack, kGuard, PROT_NONE)) {
    fail("no memory for a thread's stack");
  }
  getcontext(&fiber->start);
  fiber->start.uc_stack.ss_sp = stack;
  fiber->start.uc_stack.ss_size = kStack;
  makecontext(&fiber->start, live, 0);
  return fiber;
}

void prepare() {
  const unsigned threads = blockDim.x * blockDim.y * blockDim.z;
  while (fibers.size() < threads) {
    fibers.push_back(newFiber());
  }
  warps.assign((threads + 31) / 32, {});
  for (unsigned i = 0; i < threads; i++) {
    fibers[i]->state = State::ready;
    fibers[i]->turn = 0;
    fibers[i]->index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
    warps[i / 32].lanes.push_back(fibers[i]);
  }
}

template <typename T> T &nth(std::vector<T> &list, size_t i, bool backwards) {
  return list[backwards ? list.size() - 1 - i : i];
}

// together tells whether all of these fibers wait at one barrier.
bool together(const std::vector<Fiber *> &list, State state) {
  return std::all_of(list.begin(), list.end(), [&](const Fiber *fiber) {
    return fiber->state == state && fiber->line == list[0]->line && !std::strcmp(fiber->file, list[0]->file);
  });
}

void release(const std::vector<Fiber *> &list) {
  for (Fiber *fiber : list) {
    fiber->state = State::ready;
  }
}

// advance takes a warp as far as it gets without the others.
void advance(Warp &warp, bool backwards) {
  do {
    for (size_t i = 0; i < warp.lanes.size(); i++) {
      Fiber *fiber = nth(warp.lanes, i, backwards);
      if (fiber->state == State::ready) {
        resume(fiber);
      }
    }
    if (together(warp.lanes, State::inWarp)) {
      release(warp.lanes);
    }
  } while (warp.lanes[0]->state == State::ready);
}

std::string described(const Fiber *fiber) {
  std::string text = "thread " + std::to_string(fiber->index.x) + "," + std::to_string(fiber->index.y) + "," + std::to_string(fiber->index.z);
  if (fiber->state == State::ended) {
    return text + " has ended";
  }
  return text + " waits for its " + (fiber->state == State::inWarp ? "warp" : "block") + " at " + fiber->file + ":" + std::to_string(fiber->line);
}

// stuck reports the first thread and one that is elsewhere.
[[noreturn]] void stuck(const std::vector<Fiber *> &list) {
  for (const Fiber *fiber : list) {
    if (fiber->state != list[0]->state || fiber->line != list[0]->line) {
      fail("deadlock: %s while %s", described(list[0]).c_str(), described(fiber).c_str());
    }
  }
  fail("deadlock: %s", described(list[0]).c_str());
}

} // namespace

void runBlock(const std::function<void()> &body, bool backwards) {
  kernel = &body;
  prepare();
  const std::vector<Fiber *> all(fibers.begin(), fibers.begin() + blockDim.x * blockDim.y * blockDim.z);
  for (;;) {
    for (size_t i = 0; i < warps.size(); i++) {
      Warp &warp = nth(warps, i, backwards);
      advance(warp, backwards);
      if (std::any_of(warp.lanes.begin(), warp.lanes.end(), [](const Fiber *fiber) { return fiber->state == State::inWarp; })) {
        stuck(warp.lanes);
      }
    }
    if (std::all_of(all.begin(), all.end(), [](const Fiber *fiber) { return fiber->state == State::ended; })) {
      return;
    }
    if (!together(all, State::inBlock)) {
      stuck(all);
    }
    release(all);
  }
}

static void wait(State state, const char *file, int line) {
  current->state = state;
  current->file = file;
  current->line = line;
  leave();
}

void blockBarrier(const char *file, int line) { wait(State::inBlock, file, line); }

const Operand *exchange(const Operand &mine, const char *file, int line) {
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  Operand(&given)[32] = warps[thread / 32].given[current->turn++ % 2];
  given[thread % 32] = mine;
  wait(State::inWarp, file, line);
  return given;
}

} // namespace emulator
