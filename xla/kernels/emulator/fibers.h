// The threads of a block as fibers: emulator.h tells how they take turns.
#pragma once
#include <functional>

namespace emulator {

// runBlock runs body in every thread of block blockIdx; backwards has warps and lanes take turns from the last to the first.
void runBlock(const std::function<void()> &body, bool backwards);

} // namespace emulator
