// Attention of one new token a row over its key/value cache, with RoPE and RMSNorm of the new query and key, and the new key
// and value written into the cache in place. Float32 arithmetic, softmax online (Dao et al. 2022, arXiv:2205.14135), the
// cache cut into kSplits parts that run in parallel (flash-decoding):
//
//   q, k = norm(rope(q)), norm(rope(k))      y = Σ_c softmax_c(q·k_c/√E)·v_c over the tokens before and the new one
//
// A row without a new token (length 0) reads nothing, writes nothing, and its y is zero. A new token that finds the cache
// full is not written and does not count.
//
// A block has one part of one kv head of one row, for all Q query heads of that kv head. A token's key is read by L
// neighbouring lanes, 16 bytes each; they hold its scores and their share of y. Part 0 has the new token, which no block
// reads from the cache.
//
// Entries, for D in bf16, f32; L, the lanes of a head, in 8, 16, 32; Q in 1, 2, 4, 8:
//   attend_step_D_lL_qQ   q [B,H,E], k [B,G,E], v [B,G,E], cos f32 [B,E/2], sin f32 [B,E/2], keys [B,C,G,E], values [B,C,G,E],
//                         position i32 [B], length i32 [B];   then keys, values (the buffers of the operands), y [B,H,E]
//   attend_split_D_lL_qQ  the same, with parts f32 [B,H,S,E] and weights f32 [B,H,S,2] (largest score, sum) in place of y
// attend_join.cu adds up the parts.
// Conditions: E = L·(16 bytes of D), at most 256; H/G ≤ Q; kSplits 1 for attend_step.
//
// Launch: block (kLaunchThreads,1,1), grid (S,G,B). No dynamic shared memory.
//
// Constants: kHeads H, kGroups G, kCapacity C, kSplits S, kEpsilonBits, kScaleBits: log2(e)/√E.
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kHeads = 0x7A000001;
extern "C" __constant__ int kGroups = 0x7A000002;
extern "C" __constant__ int kCapacity = 0x7A000003;
extern "C" __constant__ int kSplits = 0x7A000004;
extern "C" __constant__ int kEpsilonBits = 0x7A000005;
extern "C" __constant__ int kScaleBits = 0x7A000006;

constexpr int kThreads = 128;
constexpr int kAhead = 4; // tokens that a lane loads keys and values of at once
constexpr float kNothing = -1e30f; // below any score, and finite
extern "C" __constant__ int kLaunchThreads = kThreads;

// turned is a lane's N channels of RoPE and RMSNorm of a head: half of the lanes have the first of each pair of channels.
template <typename T, int L> __device__ __forceinline__ void turned(const T *head, const float *cos, const float *sin, float (&out)[16 / sizeof(T)]) {
  constexpr int N = 16 / sizeof(T);
  const int lane = threadIdx.x % L, other = (lane + L / 2) % L, angle = lane % (L / 2) * N;
  float mine[N], partner[N], c[N], s[N];
  read<T, N>(head + lane * N, mine);
  read<T, N>(head + other * N, partner);
  read<f32, N>(cos + angle, c);
  read<f32, N>(sin + angle, s);
  const float direction = lane < L / 2 ? 1.0f : -1.0f;
  float squares = 0;
#pragma unroll
  for (int n = 0; n < N; n++) {
    out[n] = fmaf(mine[n], c[n], partner[n] * s[n] * direction);
    squares = fmaf(out[n], out[n], squares);
  }
  const float scale = rsqrtf(sumLanes(squares, L) / float(L * N) + __int_as_float(kEpsilonBits));
#pragma unroll
  for (int n = 0; n < N; n++) {
    out[n] *= scale;
  }
}

// Running is the softmax of one query over the tokens that a group of L lanes has seen: largest score, sum of
// 2^(score - largest), and a lane's channels of the sum of values, weighed alike.
template <int N> struct Running {
  float largest, sum, value[N];

  __device__ __forceinline__ void clear() {
    largest = kNothing, sum = 0;
#pragma unroll
    for (int n = 0; n < N; n++) {
      value[n] = 0;
    }
  }

  // raise makes room for scores of at most most.
  __device__ __forceinline__ void raise(float most) {
    const float now = fmaxf(largest, most), shrink = exp2_fast(largest - now);
    largest = now;
    sum *= shrink;
#pragma unroll
    for (int n = 0; n < N; n++) {
      value[n] *= shrink;
    }
  }

  __device__ __forceinline__ void add(float weight, const float (&v)[N]) {
    sum += weight;
#pragma unroll
    for (int n = 0; n < N; n++) {
      value[n] = fmaf(weight, v[n], value[n]);
    }
  }
};

template <int N> __device__ __forceinline__ float dot(const float (&x)[N], const float (&y)[N]) {
  float sum = 0;
#pragma unroll
  for (int n = 0; n < N; n++) {
    sum = fmaf(x[n], y[n], sum);
  }
  return sum;
}

// attend leaves a block's result in y, or with Split in parts and weights.
template <typename T, int L, int Q, bool Split>
__device__ __forceinline__ void attend(const T *q, const T *k, const T *v, const float *cos, const float *sin, const int *position,
                                       const int *length, T *keys, T *values, T *y, float *parts, float *weights) {
  constexpr int N = 16 / sizeof(T), E = L * N, groups = kThreads / L, pass = groups;
  const int split = blockIdx.x, kv = blockIdx.y, row = blockIdx.z, lane = threadIdx.x % L, group = threadIdx.x / L;
  const int each = kHeads / kGroups;
  const bool real = length[row] > 0;
  const int before = real ? min(position[row], kCapacity) : 0;
  const bool fresh = real && split == 0 && before < kCapacity;
  const int share = (before + kSplits - 1) / kSplits, begin = min(split * share, before), end = min(begin + share, before);

  const long long stride = (long long)kGroups * E, first = ((long long)row * kCapacity * kGroups + kv) * E + lane * N;
  const T *keyAt = keys + first, *valueAt = values + first;
  cos += (long long)row * (E / 2), sin += (long long)row * (E / 2);
  q += ((long long)row * kHeads + kv * each) * E;

  Running<N> running[Q];
  float query[Q][N];
#pragma unroll
  for (int i = 0; i < Q; i++) {
    turned<T, L>(q + min(i, each - 1) * E, cos, sin, query[i]);
#pragma unroll
    for (int n = 0; n < N; n++) {
      query[i][n] *= __int_as_float(kScaleBits);
    }
    running[i].clear();
  }
  if (fresh) { // the same for all threads of the block
    const long long from = ((long long)row * kGroups + kv) * E;
    float key[N];
    turned<T, L>(k + from, cos, sin, key);
    const Lanes<T, N> stored = Lanes<T, N>::pack(key), value = Lanes<T, N>::load(v + from + lane * N);
    float rounded[N], channels[N];
    stored.unpack(rounded);
    value.unpack(channels);
#pragma unroll
    for (int i = 0; i < Q; i++) {
      const float score = sumLanes(dot(query[i], rounded), L);
      if (group == 0) {
        running[i].raise(score);
        running[i].add(1, channels);
      }
    }
    if (group == 0) {
      stored.store(keys + first + before * stride);
      value.store(values + first + before * stride);
    }
  }

  for (int start = begin; start < end; start += kAhead * pass) {
    Lanes<T, N> key[kAhead], value[kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; u++) {
      const long long at = min(start + u * pass + group, end - 1) * stride;
      key[u].raw = load_once(keyAt + at);
    }
#pragma unroll
    for (int u = 0; u < kAhead; u++) {
      const long long at = min(start + u * pass + group, end - 1) * stride;
      value[u].raw = load_once(valueAt + at);
    }
    float score[Q][kAhead];
#pragma unroll
    for (int u = 0; u < kAhead; u++) {
      float channels[N];
      key[u].unpack(channels);
      const bool counts = start + u * pass + group < end;
#pragma unroll
      for (int i = 0; i < Q; i++) {
        const float sum = sumLanes(dot(query[i], channels), L);
        score[i][u] = counts ? sum : 2 * kNothing;
      }
    }
#pragma unroll
    for (int i = 0; i < Q; i++) {
      float most = score[i][0];
#pragma unroll
      for (int u = 1; u < kAhead; u++) {
        most = fmaxf(most, score[i][u]);
      }
      running[i].raise(most);
    }
#pragma unroll
    for (int u = 0; u < kAhead; u++) {
      float channels[N];
      value[u].unpack(channels);
#pragma unroll
      for (int i = 0; i < Q; i++) {
        running[i].add(exp2_fast(score[i][u] - running[i].largest), channels);
      }
    }
  }

  // The groups of the block, joined.
  __shared__ float largest[Q][groups], sum[Q][groups], value[Q][groups][E];
#pragma unroll
  for (int i = 0; i < Q; i++) {
    if (lane == 0) {
      largest[i][group] = running[i].largest, sum[i][group] = running[i].sum;
    }
    write<f32, N>(&value[i][group][lane * N], running[i].value);
  }
  __syncthreads();
  for (int item = threadIdx.x; item < each * E; item += kThreads) {
    const int i = item / E, channel = item % E;
    float most = kNothing, total = 0, out = 0;
#pragma unroll
    for (int g = 0; g < groups; g++) {
      most = fmaxf(most, largest[i][g]);
    }
#pragma unroll
    for (int g = 0; g < groups; g++) {
      const float weight = exp2_fast(largest[i][g] - most);
      total = fmaf(weight, sum[i][g], total);
      out = fmaf(weight, value[i][g][channel], out);
    }
    const long long head = (long long)row * kHeads + kv * each + i;
    if constexpr (Split) {
      const long long part = head * kSplits + split;
      parts[part * E + channel] = out;
      if (channel == 0) {
        weights[part * 2] = most, weights[part * 2 + 1] = total;
      }
    } else {
      y[head * E + channel] = narrow<T>(total > 0 ? out / total : 0.0f);
    }
  }
}

#define OPERANDS(T)                                                                                                    \
  const T *q, const T *k, const T *v, const float *cos, const float *sin, const T *, const T *, const int *position,  \
      const int *length, T *keys, T *values
#define ENTRIES(T, L, Q)                                                                                               \
  extern "C" __global__ void __launch_bounds__(kThreads) attend_step_##T##_l##L##_q##Q(OPERANDS(T), T *y) {            \
    attend<T, L, Q, false>(q, k, v, cos, sin, position, length, keys, values, y, nullptr, nullptr);                    \
  }                                                                                                                    \
  extern "C" __global__ void __launch_bounds__(kThreads)                                                               \
      attend_split_##T##_l##L##_q##Q(OPERANDS(T), float *parts, float *weights) {                                      \
    attend<T, L, Q, true>(q, k, v, cos, sin, position, length, keys, values, nullptr, parts, weights);                 \
  }
#define QUERIES(T, L) ENTRIES(T, L, 1) ENTRIES(T, L, 2) ENTRIES(T, L, 4) ENTRIES(T, L, 8)
#define ALL(T) QUERIES(T, 8) QUERIES(T, 16) QUERIES(T, 32)

#if defined(TYPE_BF16)
ALL(bf16)
#else
ALL(f32)
#endif
