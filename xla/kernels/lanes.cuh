// What the memory-bound kernels share: a thread's N neighbouring numbers of type T, moved in one access and worked on in
// float32, and sums over a warp or a block in a fixed order. T is __nv_bfloat16, __half or float.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

using bf16 = __nv_bfloat16;
using f16 = __half;
using f32 = float;

constexpr unsigned kWholeWarp = 0xffffffffu;

__device__ __forceinline__ float widen(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ float widen(f16 x) { return __half2float(x); }
__device__ __forceinline__ float widen(f32 x) { return x; }

template <typename T> __device__ __forceinline__ T narrow(float x);
template <> __device__ __forceinline__ bf16 narrow<bf16>(float x) { return __float2bfloat16_rn(x); }
template <> __device__ __forceinline__ f16 narrow<f16>(float x) { return __float2half_rn(x); }
template <> __device__ __forceinline__ f32 narrow<f32>(float x) { return x; }

// Words is the storage of one access of Bytes bytes.
template <int Bytes> struct Words;
template <> struct Words<2> { using type = unsigned short; };
template <> struct Words<4> { using type = unsigned; };
template <> struct Words<8> { using type = uint2; };
template <> struct Words<16> { using type = uint4; };

// Lanes is N numbers of type T as they lie in memory. Its address must be a multiple of its size.
template <typename T, int N> struct Lanes {
  using Raw = typename Words<N * sizeof(T)>::type;
  Raw raw;

  __device__ __forceinline__ static Lanes load(const T *from) { return {*reinterpret_cast<const Raw *>(from)}; }
  __device__ __forceinline__ static Lanes zero() { return {Raw{}}; }
  __device__ __forceinline__ void store(T *to) const { *reinterpret_cast<Raw *>(to) = raw; }

  // unpack widens to float32.
  __device__ __forceinline__ void unpack(float (&out)[N]) const {
    if constexpr (N * sizeof(T) < 4) {
      out[0] = widen(reinterpret_cast<const T &>(raw));
    } else {
      const unsigned *word = reinterpret_cast<const unsigned *>(&raw);
#pragma unroll
      for (int i = 0; i < N * int(sizeof(T)) / 4; i++) {
        if constexpr (sizeof(T) == 4) {
          out[i] = __uint_as_float(word[i]);
        } else if constexpr (kIsBF16) { // a bfloat16 is the upper half of a float32
          out[2 * i] = __uint_as_float(word[i] << 16);
          out[2 * i + 1] = __uint_as_float(word[i] & 0xffff0000u);
        } else {
          const float2 pair = __half22float2(reinterpret_cast<const __half2 &>(word[i]));
          out[2 * i] = pair.x;
          out[2 * i + 1] = pair.y;
        }
      }
    }
  }

  // pack rounds to nearest even.
  __device__ __forceinline__ static Lanes pack(const float (&in)[N]) {
    Lanes lanes;
    if constexpr (N * sizeof(T) < 4) {
      reinterpret_cast<T &>(lanes.raw) = narrow<T>(in[0]);
    } else {
      unsigned *word = reinterpret_cast<unsigned *>(&lanes.raw);
#pragma unroll
      for (int i = 0; i < N * int(sizeof(T)) / 4; i++) {
        if constexpr (sizeof(T) == 4) {
          word[i] = __float_as_uint(in[i]);
        } else if constexpr (kIsBF16) {
          reinterpret_cast<__nv_bfloat162 &>(word[i]) = __floats2bfloat162_rn(in[2 * i], in[2 * i + 1]);
        } else {
          reinterpret_cast<__half2 &>(word[i]) = __floats2half2_rn(in[2 * i], in[2 * i + 1]);
        }
      }
    }
    return lanes;
  }

  // largest is the largest magnitude.
  __device__ __forceinline__ float largest() const {
    float most = 0;
    if constexpr (N * sizeof(T) < 4 || sizeof(T) == 4) {
      float v[N];
      unpack(v);
#pragma unroll
      for (int n = 0; n < N; n++) {
        most = fmaxf(most, fabsf(v[n]));
      }
    } else {
      using Two = typename Choose<kIsBF16, __nv_bfloat162, __half2>::type;
      const Two *pair = reinterpret_cast<const Two *>(&raw);
      Two both = __habs2(pair[0]);
#pragma unroll
      for (int i = 1; i < N / 2; i++) {
        both = __hmax2(both, __habs2(pair[i]));
      }
      most = fmaxf(widen(both.x), widen(both.y));
    }
    return most;
  }

private:
  template <bool First, typename A, typename B> struct Choose { using type = A; };
  template <typename A, typename B> struct Choose<false, A, B> { using type = B; };
  template <typename A, typename B> struct Same { static constexpr bool value = false; };
  template <typename A> struct Same<A, A> { static constexpr bool value = true; };
  static constexpr bool kIsBF16 = Same<T, bf16>::value;
};

// read and write move any power of two of numbers, at most 16 bytes at a time.
template <typename T, int N> __device__ __forceinline__ void read(const T *from, float (&out)[N]) {
  if constexpr (N * sizeof(T) > 16) {
    read<T, N / 2>(from, reinterpret_cast<float(&)[N / 2]>(out[0]));
    read<T, N / 2>(from + N / 2, reinterpret_cast<float(&)[N / 2]>(out[N / 2]));
  } else {
    Lanes<T, N>::load(from).unpack(out);
  }
}

template <typename T, int N> __device__ __forceinline__ void write(T *to, const float (&in)[N]) {
  if constexpr (N * sizeof(T) > 16) {
    write<T, N / 2>(to, reinterpret_cast<const float(&)[N / 2]>(in[0]));
    write<T, N / 2>(to + N / 2, reinterpret_cast<const float(&)[N / 2]>(in[N / 2]));
  } else {
    Lanes<T, N>::pack(in).store(to);
  }
}

// sumLanes adds x over groups of lanes neighbours, a power of two up to 32; all get the sum.
__device__ __forceinline__ float sumLanes(float x, int lanes = 32) {
  for (int apart = lanes / 2; apart > 0; apart /= 2) {
    x += __shfl_xor_sync(kWholeWarp, x, apart);
  }
  return x;
}

// sumBlock adds x over a block of whole warps; all threads get the sum. Calls in a row take turns between two partials,
// so that one barrier each is enough.
__device__ __forceinline__ float sumBlock(float x, float (&partial)[32]) {
  x = sumLanes(x);
  if (threadIdx.x % 32 == 0) {
    partial[threadIdx.x / 32] = x;
  }
  __syncthreads();
  return sumLanes(threadIdx.x % 32 < blockDim.x / 32 ? partial[threadIdx.x % 32] : 0.0f);
}
