// What lets g++ compile the CUDA sources of the folder above, unchanged, as C++ that runs on the CPU: it is included before
// each of them (-include). emulator.cpp runs the launches; ../../emulator_build_test.go builds both, and ../../emulator_test.go
// compares the results with the operations' definitions.
//
// A thread of a block is a fiber. Between two barriers the fibers run one after the other, warp by warp, in one OS thread;
// blocks run one after the other. Shared memory is NaN at the start of each.
//
// It shows wrong results, results that are not written, reads and writes beyond a buffer, beyond shared memory or at an
// address that is not aligned, barriers that not all threads reach, and, as each launch runs twice in opposite orders, most
// races within a block. It cannot show how fast a kernel is, what ptxas makes of it, races that both orders hide (a
// shuffle or tensor-core product orders a warp's lanes here, so a missing __syncwarp beside one is not seen), nor the
// rounding of approximate instructions: 2^x and 1/x are exact here, and tensor cores add up in float64.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__
// The build writes these for each array of "__shared__ Type name[…];" and for "extern __shared__ Type name[];".
#define SHARED(Type, name, size)                                                                                       \
  Type(&name) size = *static_cast<Type(*) size>(emulator::shared(__PRETTY_FUNCTION__, #name, sizeof(Type size)))
#define DYNAMIC_SHARED(Type, name) [[maybe_unused]] static Type *const name = reinterpret_cast<Type *>(emulator::dynamicShared)

struct uint3 { unsigned x, y, z; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

extern uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

constexpr int kMostShared = 227 << 10; // bytes of a block
alignas(256) extern char dynamicShared[kMostShared];

// shared gives every thread of a block the same array.
void *shared(const char *function, const char *name, size_t bytes);

// Operand is what a lane gives the other lanes of its warp.
struct Operand { unsigned word[6]; };

// fail ends the process with a message that names the kernel, the block and the thread.
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// blockBarrier returns when all threads of the block are in it, at the same place of the source.
void blockBarrier(const char *file, int line);
// exchange returns, when all lanes of the warp are in it at the same place, what each of them gave.
const Operand *exchange(const Operand &mine, const char *file, int line);
inline unsigned lane() { return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32; }

template <typename To, typename From> inline To bits(From x) {
  static_assert(sizeof(To) == sizeof(From));
  To y;
  std::memcpy(&y, &x, sizeof y);
  return y;
}

inline float shuffleXor(unsigned mask, float x, int apart, const char *file, int line) {
  if (mask != 0xffffffffu) {
    fail("%s:%d: a shuffle of a part of a warp is not emulated", file, line);
  }
  return bits<float>(exchange({{bits<unsigned>(x)}}, file, line)[lane() ^ unsigned(apart)].word[0]);
}

} // namespace emulator

#define __syncthreads() emulator::blockBarrier(__FILE__, __LINE__)
#define __syncwarp() ((void)emulator::exchange({}, __FILE__, __LINE__))
#define __shfl_xor_sync(mask, x, apart) emulator::shuffleXor(mask, x, apart, __FILE__, __LINE__)

inline float __int_as_float(int x) { return emulator::bits<float>(x); }
inline float __uint_as_float(unsigned x) { return emulator::bits<float>(x); }
inline int __float_as_int(float x) { return emulator::bits<int>(x); }
inline unsigned __float_as_uint(float x) { return emulator::bits<unsigned>(x); }

inline float rsqrtf(float x) { return float(1 / std::sqrt(double(x))); }
inline float __expf(float x) { return std::exp(x); }
using std::max;
using std::min;
