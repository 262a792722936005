// bfloat16 and float16 as bits, rounded to nearest even.
#pragma once
#include "emulator.h"

namespace emulator {

inline float widenBF16(uint16_t x) { return bits<float>(uint32_t(x) << 16); }

inline uint16_t narrowBF16(float x) {
  const uint32_t all = bits<uint32_t>(x);
  if (std::isnan(x)) {
    return 0x7fff;
  }
  return uint16_t((all + 0x7fff + (all >> 16 & 1)) >> 16);
}

inline float widenF16(uint16_t x) {
  const int exponent = x >> 10 & 31, fraction = x & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude = fraction ? NAN : INFINITY;
  } else {
    magnitude = exponent ? std::ldexp(float(1024 + fraction), exponent - 25) : std::ldexp(float(fraction), -24);
  }
  return x >> 15 ? -magnitude : magnitude;
}

inline uint16_t narrowF16(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const float magnitude = std::fabs(x);
  if (std::isnan(x)) {
    return 0x7fff;
  }
  if (magnitude >= 65520) { // halfway from the largest number to the next
    return sign | 0x7c00;
  }
  // In units of the last place the rounded number is the code itself, less the implied bit of every exponent before it.
  const int exponent = std::max(magnitude > 0 ? std::ilogb(magnitude) : -14, -14);
  const int code = int(std::nearbyint(std::ldexp(magnitude, 10 - exponent)));
  return sign | uint16_t(code + (exponent + 14) * 1024);
}

} // namespace emulator
