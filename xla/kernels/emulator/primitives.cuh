// Stands in for ../primitives.cuh, which takes from PTX what is here in plain C++. The products are for whole warps.
#pragma once
#include "float16.h"
#include <map>
#include <vector>

static inline float flushed(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }

static inline float exp2_fast(float x) { return flushed(std::exp2(flushed(x))); }

static inline float reciprocal_fast(float x) { return flushed(1 / flushed(x)); }

static inline uint4 load_once(const void *from) { return *static_cast<const uint4 *>(from); }

template <typename T> static inline T load_now(const T *from) { return *from; }

static inline unsigned pack_bf16(float low, float high) {
  return emulator::narrowBF16(low) | unsigned(emulator::narrowBF16(high)) << 16;
}

static inline unsigned pack_f16(float low, float high) {
  return emulator::narrowF16(low) | unsigned(emulator::narrowF16(high)) << 16;
}

static inline float widen_f16(unsigned short half) { return emulator::widenF16(half); }

static inline void multiply_tf32(float (&d)[4], const float (&a)[4], float b0, float b1) {
  const auto truncated = [](float x) { return __float_as_uint(x) & 0xffffe000u; };
  const emulator::Operand mine = {{truncated(a[0]), truncated(a[1]), truncated(a[2]), truncated(a[3]), truncated(b0), truncated(b1)}};
  const emulator::Operand *lanes = emulator::exchange(mine, __FILE__, __LINE__);
  const unsigned group = emulator::lane() / 4, own = emulator::lane() % 4;
  for (unsigned i = 0; i < 4; i++) { // D[group + i/2·8][2·own + i%2]
    double sum = d[i];
    for (unsigned k = 0; k < 8; k++) { // A[row][k]·B[k][column]
      const unsigned left = lanes[4 * group + k % 4].word[i / 2 + k / 4 * 2], right = lanes[4 * (2 * own + i % 2) + k % 4].word[4 + k / 4];
      sum += double(__uint_as_float(left)) * double(__uint_as_float(right));
    }
    d[i] = float(sum);
  }
}

static inline void multiply_bf16(float (&d)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0, unsigned b1) {
  const emulator::Operand *lanes = emulator::exchange({{a0, a1, a2, a3, b0, b1}}, __FILE__, __LINE__);
  const unsigned group = emulator::lane() / 4, own = emulator::lane() % 4;
  const auto half = [](unsigned pair, unsigned k) { return double(emulator::widenBF16(uint16_t(k % 2 ? pair >> 16 : pair))); };
  for (unsigned i = 0; i < 4; i++) { // D[group + i/2·8][2·own + i%2]
    double sum = d[i];
    for (unsigned k = 0; k < 16; k++) { // A[row][k]·B[k][column]
      const unsigned left = lanes[4 * group + k / 2 % 4].word[i / 2 + k / 8 * 2];
      const unsigned right = lanes[4 * (2 * own + i % 2) + k / 2 % 4].word[4 + k / 8];
      sum += half(left, k) * half(right, k);
    }
    d[i] = float(sum);
  }
}

namespace emulator {
struct Copy { void *to; const void *from; unsigned thread; int group; };
inline std::vector<Copy> copies;         // that nobody has waited for
inline std::map<unsigned, int> commits; // groups that a thread has closed

// A copy is made when its thread waits for it, so that reading earlier shows.
inline void finishCopies(int before) {
  std::vector<Copy> others;
  for (const Copy &copy : copies) {
    if (copy.thread == threadIdx.x && copy.group < before) {
      *static_cast<uint4 *>(copy.to) = *static_cast<const uint4 *>(copy.from);
    } else {
      others.push_back(copy);
    }
  }
  copies.swap(others);
}
} // namespace emulator

static inline void copy_async(void *to, const void *from) {
  emulator::copies.push_back({to, from, threadIdx.x, emulator::commits[threadIdx.x]});
}

static inline void wait_for_copies() { emulator::finishCopies(emulator::commits[threadIdx.x] + 1); }

static inline void commit_copies() { emulator::commits[threadIdx.x]++; }

template <int N> static inline void wait_for_copies_but() { emulator::finishCopies(emulator::commits[threadIdx.x] - N); }
