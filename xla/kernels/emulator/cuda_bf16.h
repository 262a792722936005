// The few names of CUDA's header that the sources use.
#pragma once
#include "float16.h"

struct __nv_bfloat16 { uint16_t bits; };
struct alignas(4) __nv_bfloat162 { __nv_bfloat16 x, y; };

inline float __bfloat162float(__nv_bfloat16 x) { return emulator::widenBF16(x.bits); }
inline __nv_bfloat16 __float2bfloat16_rn(float x) { return {emulator::narrowBF16(x)}; }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__float2bfloat16_rn(x), __float2bfloat16_rn(y)}; }
inline __nv_bfloat162 __habs2(__nv_bfloat162 a) { return {{uint16_t(a.x.bits & 0x7fff)}, {uint16_t(a.y.bits & 0x7fff)}}; }
inline __nv_bfloat162 __hmax2(__nv_bfloat162 a, __nv_bfloat162 b) {
  return __floats2bfloat162_rn(std::fmax(__bfloat162float(a.x), __bfloat162float(b.x)), std::fmax(__bfloat162float(a.y), __bfloat162float(b.y)));
}
