// Shared by the kernels of the scan: the compute dtype and access to memory.
//
// One compilation is one dtype: compile with -DTYPE_BF16, -DTYPE_F16 or -DTYPE_F32. All arithmetic is float32.
#pragma once

#include "functions.cuh"
#include "primitives.cuh"

// ---- the compute dtype: Element, and Pair for two neighbours ----

#if defined(TYPE_F32)
typedef float Element;
typedef float2 Pair;
#define TYPE_NAME f32
static __device__ __forceinline__ float widen(Element x) { return x; }
static __device__ __forceinline__ Element narrow(float x) { return x; }
static __device__ __forceinline__ float2 widen_pair(Pair x) { return x; }
static __device__ __forceinline__ Pair narrow_pair(float2 x) { return x; }
static __device__ __forceinline__ Pair join(Element a, Element b) { return make_float2(a, b); }
#else
typedef unsigned short Element;
typedef unsigned Pair;
static __device__ __forceinline__ Pair join(Element a, Element b) { return a | unsigned(b) << 16; }
#if defined(TYPE_F16)
#define TYPE_NAME f16
static __device__ __forceinline__ float widen(Element x) { return widen_f16(x); }
static __device__ __forceinline__ Pair narrow_pair(float2 x) { return pack_f16(x.x, x.y); }
static __device__ __forceinline__ float2 widen_pair(Pair x) {
  return make_float2(widen_f16(Element(x)), widen_f16(Element(x >> 16)));
}
#elif defined(TYPE_BF16)
#define TYPE_NAME bf16
static __device__ __forceinline__ float widen(Element x) { return __uint_as_float(unsigned(x) << 16); }
static __device__ __forceinline__ Pair narrow_pair(float2 x) { return pack_bf16(x.x, x.y); }
static __device__ __forceinline__ float2 widen_pair(Pair x) {
  return make_float2(__uint_as_float(x << 16), __uint_as_float(x & 0xffff0000u));
}
#else
#error "define TYPE_BF16, TYPE_F16 or TYPE_F32"
#endif
static __device__ __forceinline__ Element narrow(float x) { return Element(narrow_pair(make_float2(x, 0.0f))); }
#endif

// A kernel is called NAME_TYPE_nSTATES, for example scan_forward_bf16_n16.
#define ENTRY_JOIN(name, type, states) name##_##type##_n##states
#define ENTRY_EXPAND(name, type, states) ENTRY_JOIN(name, type, states)
#define ENTRY(name, states) ENTRY_EXPAND(name, TYPE_NAME, states)

// LAUNCH tells whoever embeds the PTX text how to launch its entries, by constants that no kernel reads: threads of a
// block, channels of a block, bytes of dynamic shared memory.
#define LAUNCH(threads, channels, bytes)                 \
  extern "C" __constant__ int kLaunchThreads = threads;   \
  extern "C" __constant__ int kLaunchChannels = channels; \
  extern "C" __constant__ int kLaunchShared = bytes

// ---- memory ----

// Vector is kCount neighbouring elements as they lie in memory, read and written at once.
template <int kCount>
struct Vector {
  static constexpr int kWords = kCount * int(sizeof(Element)) / 4;
  unsigned word[kWords];

  __device__ __forceinline__ float at(int e) const {
#if defined(TYPE_F32)
    return __uint_as_float(word[e]);
#else
    float2 two = widen_pair(word[e / 2]);
    return e % 2 ? two.y : two.x;
#endif
  }

  // Elements e and e+1, e even.
  __device__ __forceinline__ void put(int e, float first, float second) {
#if defined(TYPE_F32)
    word[e] = __float_as_uint(first), word[e + 1] = __float_as_uint(second);
#else
    word[e / 2] = narrow_pair(make_float2(first, second));
#endif
  }

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int w = 0; w < kWords; w++) word[w] = 0;
  }

  // At an address that is a multiple of the vector's bytes, or of 16.
  __device__ __forceinline__ void read(const void* from) {
    if constexpr (kWords % 4 == 0) {
#pragma unroll
      for (int w = 0; w < kWords; w += 4) {
        float4 x = reinterpret_cast<const float4*>(from)[w / 4];
        word[w] = __float_as_uint(x.x), word[w + 1] = __float_as_uint(x.y);
        word[w + 2] = __float_as_uint(x.z), word[w + 3] = __float_as_uint(x.w);
      }
    } else if constexpr (kWords == 2) {
      float2 x = *reinterpret_cast<const float2*>(from);
      word[0] = __float_as_uint(x.x), word[1] = __float_as_uint(x.y);
    } else {
      word[0] = *reinterpret_cast<const unsigned*>(from);
    }
  }

  __device__ __forceinline__ void write(void* to) const {
    if constexpr (kWords % 4 == 0) {
#pragma unroll
      for (int w = 0; w < kWords; w += 4)
        reinterpret_cast<float4*>(to)[w / 4] =
            make_float4(__uint_as_float(word[w]), __uint_as_float(word[w + 1]), __uint_as_float(word[w + 2]),
                        __uint_as_float(word[w + 3]));
    } else if constexpr (kWords == 2) {
      *reinterpret_cast<float2*>(to) = make_float2(__uint_as_float(word[0]), __uint_as_float(word[1]));
    } else {
      *reinterpret_cast<unsigned*>(to) = word[0];
    }
  }
};
