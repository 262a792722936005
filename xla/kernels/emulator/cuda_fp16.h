// The few names of CUDA's header that the sources use.
#pragma once
#include "float16.h"

struct __half { uint16_t bits; };
struct alignas(4) __half2 { __half x, y; };

inline float __half2float(__half x) { return emulator::widenF16(x.bits); }
inline float2 __half22float2(__half2 a) { return {__half2float(a.x), __half2float(a.y)}; }
inline __half __float2half_rn(float x) { return {emulator::narrowF16(x)}; }
inline __half2 __floats2half2_rn(float x, float y) { return {__float2half_rn(x), __float2half_rn(y)}; }
inline __half2 __habs2(__half2 a) { return {{uint16_t(a.x.bits & 0x7fff)}, {uint16_t(a.y.bits & 0x7fff)}}; }
inline __half2 __hmax2(__half2 a, __half2 b) {
  return __floats2half2_rn(std::fmax(__half2float(a.x), __half2float(b.x)), std::fmax(__half2float(a.y), __half2float(b.y)));
}
