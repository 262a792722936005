// RoPE, half-split, then RMSNorm over each head's E channels, and the gradient. Float32 arithmetic; for j < E/2
//
//   u_j     = x_j·cos_j + x_{j+E/2}·sin_j         z = u·s,   s = 1/√(mean u² + ε)
//   u_{j+E/2} = x_{j+E/2}·cos_j - x_j·sin_j
//
//   backward  du = s·(dz - z·mean(dz·z)), then the opposite rotation of du
//
// Backward reads z and s instead of x, so that x need not be kept: attention keeps its queries and keys anyway.
//
// A row of x is a token's numbers, kStride apart from the next token's, heads from kOffset on.
//
// Entries, for D in bf16, f16, f32; M = B·T tokens:
//   rope_norm_forward_D   x, cos f32 [P,E/2], sin f32 [P,E/2];              then z [M,H,E], s f32 [M,H]
//   rope_norm_backward_D  dz [M,H,E], z [M,H,E], s f32 [M,H], cos, sin;     then dx [M,H,E]
//   ..._any               the same for any even E
// Token m uses row m mod P of the tables: P = T if every row starts at position 0, else B·T.
//
// Conditions without _any: E/2 = N·L with L in 1, 2, 4, 8, 16, 32; kStride and kOffset divisible by N. N is 8 for bf16
// and f16, 4 for f32 (so E = 64 and 128 are among them). In both M·H·32 < 2³².
// Launch: block (128,1,1) in both; grid (ceil(M·H·L / 128), 1, 1), or with _any (ceil(M·H / 4), 1, 1).
// No dynamic shared memory.
//
// Constants: kTokens M, kHeads H, kWidth E, kStride, kOffset, kPositions P, kEpsilonBits: the bits of ε as float32.
// Backward does not use kStride, kOffset and kEpsilonBits.
#include "lanes.cuh"

extern "C" __constant__ int kTokens = 0x7A000001;
extern "C" __constant__ int kHeads = 0x7A000002;
extern "C" __constant__ int kWidth = 0x7A000003;
extern "C" __constant__ int kStride = 0x7A000004;
extern "C" __constant__ int kOffset = 0x7A000005;
extern "C" __constant__ int kPositions = 0x7A000006;
extern "C" __constant__ int kEpsilonBits = 0x7A000007;

// Head is one head of one token among the heads of x, and where its numbers lie.
struct Head {
  long long token;
  int index;

  __device__ __forceinline__ explicit Head(unsigned item) // 64-bit division would cost more than the work itself
      : token(item / unsigned(kHeads)), index(item % unsigned(kHeads)) {}
  __device__ __forceinline__ bool real() const { return token < kTokens; }
  __device__ __forceinline__ long long scale() const { return token * kHeads + index; }
  __device__ __forceinline__ long long table() const { return (long long)(unsigned(token) % unsigned(kPositions)) * (kWidth / 2); }
  __device__ __forceinline__ long long source() const { return token * kStride + kOffset + (long long)index * kWidth; }
  __device__ __forceinline__ long long place() const { return scale() * kWidth; } // in [M,H,E]
};

// Pair is N channels of a head and the N that turn with them.
template <int N> struct Pair {
  float a[N], b[N];

  template <typename T> __device__ __forceinline__ void read(const T *head, int at) {
    ::read<T, N>(head + at, a);
    ::read<T, N>(head + at + kWidth / 2, b);
  }
  template <typename T> __device__ __forceinline__ void write(T *head, int at) const {
    ::write<T, N>(head + at, a);
    ::write<T, N>(head + at + kWidth / 2, b);
  }
  __device__ __forceinline__ float dot(const Pair &other) const {
    float sum = 0;
#pragma unroll
    for (int n = 0; n < N; n++) {
      sum = fmaf(a[n], other.a[n], fmaf(b[n], other.b[n], sum));
    }
    return sum;
  }
  // turn by +1 is RoPE, by -1 its opposite.
  __device__ __forceinline__ void turn(const float *cos, const float *sin, long long at, float direction) {
    float c[N], s[N];
    ::read<f32, N>(cos + at, c);
    ::read<f32, N>(sin + at, s);
#pragma unroll
    for (int n = 0; n < N; n++) {
      const float first = a[n], turned = s[n] * direction;
      a[n] = fmaf(first, c[n], b[n] * turned);
      b[n] = fmaf(b[n], c[n], -first * turned);
    }
  }
  __device__ __forceinline__ void scale(float by) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      a[n] *= by;
      b[n] *= by;
    }
  }
  // normSlope turns dz into du.
  __device__ __forceinline__ void normSlope(const Pair &z, float mean, float scale) {
#pragma unroll
    for (int n = 0; n < N; n++) {
      a[n] = scale * fmaf(-mean, z.a[n], a[n]);
      b[n] = scale * fmaf(-mean, z.b[n], b[n]);
    }
  }
};

__device__ __forceinline__ float scaleOf(float squares) {
  return rsqrtf(squares / float(kWidth) + __int_as_float(kEpsilonBits));
}

// forward with N > 1: the thread has N pairs of a head, E/2/N neighbours share it. Threads past the end work on the last
// head and store nothing, for all lanes of a warp take part in its sums.
template <typename T, int N>
__device__ __forceinline__ void forward(const T *x, const float *cos, const float *sin, T *z, float *scales) {
  const unsigned lanes = kWidth / 2 / N, item = unsigned(blockIdx.x) * blockDim.x + threadIdx.x;
  const int at = int(item % lanes) * N;
  Head head(item / lanes);
  const bool real = head.real();
  head.token = min(head.token, (long long)kTokens - 1);

  Pair<N> pair;
  pair.read(x + head.source(), at);
  pair.turn(cos, sin, head.table() + at, 1);
  const float scale = scaleOf(sumLanes(pair.dot(pair), lanes));
  if (!real) {
    return;
  }
  if (at == 0) {
    scales[head.scale()] = scale;
  }
  pair.scale(scale);
  pair.write(z + head.place(), at);
}

template <typename T, int N>
__device__ __forceinline__ void backward(const T *dz, const T *y, const float *scales, const float *cos,
                                         const float *sin, T *dx) {
  const unsigned lanes = kWidth / 2 / N, item = unsigned(blockIdx.x) * blockDim.x + threadIdx.x;
  const int at = int(item % lanes) * N;
  Head head(item / lanes);
  const bool real = head.real();
  head.token = min(head.token, (long long)kTokens - 1);

  Pair<N> slope, z;
  slope.read(dz + head.place(), at);
  z.read(y + head.place(), at);
  const float mean = sumLanes(slope.dot(z), lanes) / float(kWidth);
  if (!real) {
    return;
  }
  slope.normSlope(z, mean, scales[head.scale()]);
  slope.turn(cos, sin, head.table() + at, -1);
  slope.write(dx + head.place(), at);
}

// forwardAny: a warp a head, which reads its numbers twice.
template <typename T>
__device__ __forceinline__ void forwardAny(const T *x, const float *cos, const float *sin, T *z, float *scales) {
  const Head head(unsigned(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32);
  if (!head.real()) {
    return;
  }
  const int lane = threadIdx.x % 32;
  const T *from = x + head.source();
  float squares = 0;
  Pair<1> pair;
  for (int at = lane; at < kWidth / 2; at += 32) {
    pair.read(from, at);
    pair.turn(cos, sin, head.table() + at, 1);
    squares += pair.dot(pair);
  }
  const float scale = scaleOf(sumLanes(squares));
  if (lane == 0) {
    scales[head.scale()] = scale;
  }
  for (int at = lane; at < kWidth / 2; at += 32) {
    pair.read(from, at);
    pair.turn(cos, sin, head.table() + at, 1);
    pair.scale(scale);
    pair.write(z + head.place(), at);
  }
}

template <typename T>
__device__ __forceinline__ void backwardAny(const T *dz, const T *y, const float *scales, const float *cos,
                                            const float *sin, T *dx) {
  const Head head(unsigned(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32);
  if (!head.real()) {
    return;
  }
  const int lane = threadIdx.x % 32;
  float product = 0;
  Pair<1> slope, z;
  for (int at = lane; at < kWidth / 2; at += 32) {
    slope.read(dz + head.place(), at);
    z.read(y + head.place(), at);
    product += slope.dot(z);
  }
  const float mean = sumLanes(product) / float(kWidth);
  for (int at = lane; at < kWidth / 2; at += 32) {
    slope.read(dz + head.place(), at);
    z.read(y + head.place(), at);
    slope.normSlope(z, mean, scales[head.scale()]);
    slope.turn(cos, sin, head.table() + at, -1);
    slope.write(dx + head.place(), at);
  }
}

#define KERNEL extern "C" __global__ void __launch_bounds__(128)
#define ENTRIES(T, suffix, Forward, Backward)                                                                          \
  KERNEL rope_norm_forward_##T##suffix(const T *x, const float *cos, const float *sin, T *z, float *s) {               \
    Forward(x, cos, sin, z, s);                                                                                        \
  }                                                                                                                    \
  KERNEL rope_norm_backward_##T##suffix(const T *dz, const T *z, const float *s, const float *cos, const float *sin,   \
                                        T *dx) {                                                                       \
    Backward(dz, z, s, cos, sin, dx);                                                                                  \
  }

ENTRIES(bf16, , (forward<bf16, 8>), (backward<bf16, 8>))
ENTRIES(f16, , (forward<f16, 8>), (backward<f16, 8>))
ENTRIES(f32, , (forward<f32, 4>), (backward<f32, 4>))
ENTRIES(bf16, _any, forwardAny<bf16>, backwardAny<bf16>)
ENTRIES(f16, _any, forwardAny<f16>, backwardAny<f16>)
ENTRIES(f32, _any, forwardAny<f32>, backwardAny<f32>)
