// RMSNorm without parameters over rows of D numbers, and its gradient. Float32 arithmetic:
//
//   forward   r = x + a (rounded to D; without _add r is x)     s = 1/√(mean r² + ε)     y = r·s
//   backward  dx = dres + s·(dy - y·mean(dy·y))
//
// Backward reads y instead of x, so that x need not be kept: y is kept anyway, as the input of the next product.
//
// Entries, for D in bf16, f16, f32:
//   norm_forward_D       x [R,D];                                 then y [R,D], s f32 [R]
//   norm_add_forward_D   x [R,D], a [R,D];                        then r [R,D], y [R,D], s f32 [R]
//   norm_add_backward_D  dy [R,D], y [R,D], s f32 [R], dres [R,D];  then dx [R,D]
// r may be the buffer of x, and dx the buffer of dres.
//
// Each entry comes in three kinds:
//   ..._row    D divisible by N and at most 2048: a warp a row, kept in registers.  block (128,1,1) grid (ceil(R/4),1,1)
//   ..._wide   D divisible by N: a block a row, read twice (the second time from the caches). block (256,1,1) grid (R,1,1)
//   ..._any    any D, as _wide with N = 1
// N is 8 for bf16 and f16, 4 for f32. No dynamic shared memory.
//
// Constants: kRows R, kWidth D, kEpsilonBits: the bits of ε as float32.
#include "lanes.cuh"

extern "C" __constant__ int kRows = 0x7A000001;
extern "C" __constant__ int kWidth = 0x7A000002;
extern "C" __constant__ int kEpsilonBits = 0x7A000003;

constexpr int kMostInRegisters = 2048 / 32; // numbers a lane

__device__ __forceinline__ float scaleOf(float squares) {
  return rsqrtf(squares / float(kWidth) + __int_as_float(kEpsilonBits));
}

// add is x + a, rounded as it is stored.
template <typename X, typename T, int N>
__device__ __forceinline__ Lanes<X, N> add(const Lanes<X, N> &x, const Lanes<T, N> &a) {
  float sum[N], added[N];
  x.unpack(sum);
  a.unpack(added);
#pragma unroll
  for (int n = 0; n < N; n++) {
    sum[n] += added[n];
  }
  return Lanes<X, N>::pack(sum);
}

template <int N> __device__ __forceinline__ float dot(const float (&x)[N], const float (&y)[N], float sum) {
#pragma unroll
  for (int n = 0; n < N; n++) {
    sum = fmaf(x[n], y[n], sum);
  }
  return sum;
}

template <typename X, int N> __device__ __forceinline__ float dot(const Lanes<X, N> &x, float sum) {
  float v[N];
  x.unpack(v);
  return dot(v, v, sum);
}

template <typename X, typename T, int N>
__device__ __forceinline__ void writeScaled(T *y, long long at, const Lanes<X, N> &x, float scale) {
  float v[N];
  x.unpack(v);
#pragma unroll
  for (int n = 0; n < N; n++) {
    v[n] *= scale;
  }
  write<T, N>(y + at, v);
}

// slope is dx of N numbers.
template <typename X, typename T, int N>
__device__ __forceinline__ Lanes<X, N> slope(const Lanes<T, N> &dy, const Lanes<T, N> &y, float scale, float mean,
                                             const Lanes<X, N> &dres) {
  float a[N], b[N], out[N];
  dy.unpack(a);
  y.unpack(b);
  dres.unpack(out);
#pragma unroll
  for (int n = 0; n < N; n++) {
    out[n] = fmaf(scale, fmaf(-mean, b[n], a[n]), out[n]);
  }
  return Lanes<X, N>::pack(out);
}

// columnsOf calls body(vector, column) for what lane has of a row, at most Most vectors of N.
template <int N, int Most, typename F> __device__ __forceinline__ void columnsOf(int lane, F body) {
#pragma unroll
  for (int i = 0; i < Most; i++) {
    const int column = (i * 32 + lane) * N;
    if (column < kWidth) {
      body(i, column);
    }
  }
}

// Everything a warp needs of its row is loaded before anything is stored: buffers may be shared, so the compiler would
// not move a load before a store.
template <typename X, typename T, int N, bool Add>
__device__ __forceinline__ void forwardRow(const X *x, const T *a, X *r, T *y, float *scales) {
  constexpr int most = kMostInRegisters / N;
  const long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, begin = row * kWidth;
  const int lane = threadIdx.x % 32;
  if (row >= kRows) {
    return;
  }
  Lanes<X, N> kept[most];
  Lanes<T, N> added[most];
  columnsOf<N, most>(lane, [&](int i, int column) {
    kept[i] = Lanes<X, N>::load(x + begin + column);
    if constexpr (Add) {
      added[i] = Lanes<T, N>::load(a + begin + column);
    }
  });
  float squares = 0;
  columnsOf<N, most>(lane, [&](int i, int column) {
    if constexpr (Add) {
      kept[i] = add(kept[i], added[i]);
      kept[i].store(r + begin + column);
    }
    squares = dot(kept[i], squares);
  });
  const float scale = scaleOf(sumLanes(squares));
  columnsOf<N, most>(lane, [&](int i, int column) { writeScaled(y, begin + column, kept[i], scale); });
  if (lane == 0) {
    scales[row] = scale;
  }
}

template <typename X, typename T, int N, bool Add>
__device__ __forceinline__ void forwardWide(const X *x, const T *a, X *r, T *y, float *scales) {
  __shared__ float partial[32];
  const long long begin = (long long)blockIdx.x * kWidth;
  float squares = 0;
  for (int column = threadIdx.x * N; column < kWidth; column += blockDim.x * N) {
    Lanes<X, N> v = Lanes<X, N>::load(x + begin + column);
    if constexpr (Add) {
      v = add(v, Lanes<T, N>::load(a + begin + column));
      v.store(r + begin + column);
    }
    squares = dot(v, squares);
  }
  const float scale = scaleOf(sumBlock(squares, partial));
  const X *from = Add ? r : x; // a thread reads back only what it wrote
  for (int column = threadIdx.x * N; column < kWidth; column += blockDim.x * N) {
    writeScaled(y, begin + column, Lanes<X, N>::load(from + begin + column), scale);
  }
  if (threadIdx.x == 0) {
    scales[blockIdx.x] = scale;
  }
}

template <typename X, typename T, int N, bool Add>
__device__ __forceinline__ void backwardRow(const T *dy, const T *y, const float *scales, const X *dres, X *dx) {
  constexpr int most = kMostInRegisters / N;
  const long long row = (long long)blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, begin = row * kWidth;
  const int lane = threadIdx.x % 32;
  if (row >= kRows) {
    return;
  }
  Lanes<T, N> slopes[most], outputs[most];
  Lanes<X, N> rest[most];
  columnsOf<N, most>(lane, [&](int i, int column) {
    slopes[i] = Lanes<T, N>::load(dy + begin + column);
    outputs[i] = Lanes<T, N>::load(y + begin + column);
    rest[i] = Add ? Lanes<X, N>::load(dres + begin + column) : Lanes<X, N>::zero();
  });
  float product = 0;
  columnsOf<N, most>(lane, [&](int i, int) {
    float a[N], b[N];
    slopes[i].unpack(a);
    outputs[i].unpack(b);
    product = dot(a, b, product);
  });
  const float mean = sumLanes(product) / float(kWidth), scale = scales[row];
  columnsOf<N, most>(lane, [&](int i, int column) {
    slope(slopes[i], outputs[i], scale, mean, rest[i]).store(dx + begin + column);
  });
}

template <typename X, typename T, int N, bool Add>
__device__ __forceinline__ void backwardWide(const T *dy, const T *y, const float *scales, const X *dres, X *dx) {
  __shared__ float partial[32];
  const long long begin = (long long)blockIdx.x * kWidth;
  float product = 0;
  for (int column = threadIdx.x * N; column < kWidth; column += blockDim.x * N) {
    float a[N], b[N];
    read<T, N>(dy + begin + column, a);
    read<T, N>(y + begin + column, b);
    product = dot(a, b, product);
  }
  const float mean = sumBlock(product, partial) / float(kWidth), scale = scales[blockIdx.x];
  for (int column = threadIdx.x * N; column < kWidth; column += blockDim.x * N) {
    const long long at = begin + column;
    const Lanes<X, N> rest = Add ? Lanes<X, N>::load(dres + at) : Lanes<X, N>::zero();
    slope(Lanes<T, N>::load(dy + at), Lanes<T, N>::load(y + at), scale, mean, rest).store(dx + at);
  }
}

#define KIND(suffix, T, N, Kind, threads)                                                                              \
  extern "C" __global__ void __launch_bounds__(threads) norm_forward_##T##_##suffix(const T *x, T *y, float *s) {      \
    forward##Kind<T, T, N, false>(x, nullptr, nullptr, y, s);                                                          \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(threads)                                                                \
      norm_add_forward_##T##_##suffix(const T *x, const T *a, T *r, T *y, float *s) {                                  \
    forward##Kind<T, T, N, true>(x, a, r, y, s);                                                                       \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(threads)                                                                \
      norm_add_backward_##T##_##suffix(const T *dy, const T *y, const float *s, const T *dres, T *dx) {                \
    backward##Kind<T, T, N, true>(dy, y, s, dres, dx);                                                                 \
  }
#define ENTRIES(T)                                                                                                     \
  KIND(row, T, 16 / sizeof(T), Row, 128)                                                                               \
  KIND(wide, T, 16 / sizeof(T), Wide, 256)                                                                             \
  KIND(any, T, 1, Wide, 256)

ENTRIES(bf16)
ENTRIES(f16)
ENTRIES(f32)
