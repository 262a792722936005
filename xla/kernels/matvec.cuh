// The heart of matvec.cu: products of R rows with columns of up to three weights, read as a stream. Its constants are described
// there.
#pragma once
#include "lanes.cuh"
#include "primitives.cuh"

extern "C" __constant__ int kRows = 0x7A000001;
extern "C" __constant__ int kDepth = 0x7A000002;
extern "C" __constant__ int kColumns0 = 0x7A000003;
extern "C" __constant__ int kColumns1 = 0x7A000004;
extern "C" __constant__ int kColumns2 = 0x7A000005;
extern "C" __constant__ int kNorm = 0x7A000006;
extern "C" __constant__ int kEpsilonBits = 0x7A000007;

constexpr int kThreads = 256, kWarps = kThreads / 32;
extern "C" __constant__ int kLaunchThreads = kThreads;

// kAhead is how many loads of a lane are under way for each column.
template <int C> constexpr int kAhead = 10 / C;
// kBlocks is how many blocks share a multiprocessor; more rows need more registers.
template <int R> constexpr int kBlocks = R == 1 ? 3 : 2;

extern __shared__ uint4 dynamicShared[];

// inputs puts x̂ into shared memory, [R][K], zero in rows past kRows. A warp has every (kWarps/R)-th vector of one row.
template <typename T, int R> __device__ __forceinline__ void inputs(const T *x, T *shared) {
  constexpr int N = 16 / sizeof(T), parts = kWarps / R;
  __shared__ float squares[kWarps];
  const int warp = threadIdx.x / 32, row = warp % R, begin = (warp / R * 32 + threadIdx.x % 32) * N;
  T *to = shared + row * kDepth;
  float sum = 0;
  for (int k = begin; k < kDepth; k += parts * 32 * N) {
    const Lanes<T, N> vector = row < kRows ? Lanes<T, N>::load(x + (long long)row * kDepth + k) : Lanes<T, N>::zero();
    float v[N];
    vector.unpack(v);
#pragma unroll
    for (int n = 0; n < N; n++) {
      sum = fmaf(v[n], v[n], sum);
    }
    vector.store(to + k);
  }
  if (kNorm) {
    sum = sumLanes(sum);
    if (threadIdx.x % 32 == 0) {
      squares[warp] = sum;
    }
    __syncthreads();
    float all = 0;
#pragma unroll
    for (int part = 0; part < parts; part++) {
      all += squares[part * R + row];
    }
    const float scale = rsqrtf(all / float(kDepth) + __int_as_float(kEpsilonBits));
    for (int k = begin; k < kDepth; k += parts * 32 * N) {
      float v[N];
      Lanes<T, N>::load(to + k).unpack(v);
#pragma unroll
      for (int n = 0; n < N; n++) {
        v[n] *= scale;
      }
      Lanes<T, N>::pack(v).store(to + k);
    }
  }
  __syncthreads();
}

// Columns are the C neighbours that a warp works on, of one weight.
template <typename T> struct Columns {
  const T *weight; // of the first one
  int matrix, first, count;
};

// columnsOf finds group g of C columns; a weight's last one may have fewer.
template <typename T, int C> __device__ __forceinline__ Columns<T> columnsOf(int g, const T *w0, const T *w1, const T *w2) {
  const int n0 = (kColumns0 + C - 1) / C, n1 = (kColumns1 + C - 1) / C;
  const T *weight = w0;
  int matrix = 0, columns = kColumns0;
  if (g >= n0) {
    g -= n0, matrix = 1, weight = w1, columns = kColumns1;
    if (g >= n1) {
      g -= n1, matrix = 2, weight = w2, columns = kColumns2;
    }
  }
  return {weight + (long long)g * C * kDepth, matrix, g * C, min(C, columns - g * C)};
}

template <int C> __device__ __forceinline__ int groups() {
  return (kColumns0 + C - 1) / C + (kColumns1 + C - 1) / C + (kColumns2 + C - 1) / C;
}

// warpTotals adds up V sums, a power of two, over the warp's lanes: lane l gets total l / (32/V). At each step a lane keeps
// half of its sums and gives the other half away.
template <int V> __device__ __forceinline__ float warpTotals(float (&sum)[V]) {
  int held = V;
#pragma unroll
  for (int apart = 16; apart > 0; apart /= 2) {
    if (held > 1) {
      held /= 2;
      const bool upper = threadIdx.x & apart;
#pragma unroll
      for (int i = 0; i < V / 2; i++) {
        if (i < held) {
          const float keep = upper ? sum[i + held] : sum[i], give = upper ? sum[i] : sum[i + held];
          sum[i] = keep + __shfl_xor_sync(kWholeWarp, give, apart);
        }
      }
    } else {
      sum[0] += __shfl_xor_sync(kWholeWarp, sum[0], apart);
    }
  }
  return sum[0];
}

// add multiplies one vector of each column with that of each row.
template <typename T, int R, int C, int U, int N = 16 / sizeof(T)>
__device__ __forceinline__ void add(const T *x, const Lanes<T, N> (&weights)[C][U], int u, float (&sum)[R * C]) {
  float w[C][N];
#pragma unroll
  for (int c = 0; c < C; c++) {
    weights[c][u].unpack(w[c]);
  }
#pragma unroll
  for (int r = 0; r < R; r++) {
    float in[N];
    read<T, N>(x + r * kDepth, in);
#pragma unroll
    for (int c = 0; c < C; c++) {
      float part = in[0] * w[c][0]; // short chains of additions, many side by side
#pragma unroll
      for (int n = 1; n < N; n++) {
        part = fmaf(in[n], w[c][n], part);
      }
      sum[r * C + c] += part;
    }
  }
}

// products gives finish every product. Finish has kNormed, that there is always a norm; begin(columns, row, column), called
// before the weights are waited for; and end(total), both in the one lane that has the product of this row and column.
template <typename T, int R, int C, typename Finish>
__device__ __forceinline__ void products(const T *x, const T *w0, const T *w1, const T *w2, Finish finish) {
  constexpr int N = 16 / sizeof(T), V = R * C, U = kAhead<C>;
  T *shared = reinterpret_cast<T *>(dynamicShared);
  const int lane = threadIdx.x % 32, stride = gridDim.x * kWarps, all = groups<C>(), vectors = kDepth / N;
  int g = blockIdx.x * kWarps + threadIdx.x / 32;
  Columns<T> now = columnsOf<T, C>(min(g, all - 1), w0, w1, w2);

  Lanes<T, N> ahead[C][U];
  // ask has this lane's next vectors of every column come, from number v on.
  const auto ask = [&](int v) {
#pragma unroll
    for (int u = 0; u < U; u++) {
#pragma unroll
      for (int c = 0; c < C; c++) {
        ahead[c][u] = Lanes<T, N>::zero();
        if (v + 32 * u < vectors) {
          ahead[c][u].raw = load_once(now.weight + (c < now.count ? c * kDepth : 0) + (v + 32 * u) * N);
        }
      }
    }
  };
  ask(lane);
  const T *from = shared;
  if (R > 1 || Finish::kNormed || kNorm) {
    inputs<T, R>(x, shared);
  } else {
    from = x; // nobody waits for anybody
  }

  const int mine = lane / (32 / V), row = mine / C, column = mine % C;
  for (bool asked = true; g < all; g += stride, asked = false) {
    if (!asked) {
      now = columnsOf<T, C>(g, w0, w1, w2);
      ask(lane);
    }
    const bool writes = lane % (32 / V) == 0 && row < kRows && column < now.count;
    if (writes) {
      finish.begin(now, row, now.first + column);
    }
    float sum[V] = {};
    for (int v0 = lane; v0 < vectors; v0 += 32 * U) {
      if (v0 > lane) {
        ask(v0);
      }
#pragma unroll
      for (int u = 0; u < U; u++) {
        add<T, R, C>(from + min(v0 + 32 * u, vectors - 1) * N, ahead, u, sum); // past the end weights are zero
      }
    }
    const float total = warpTotals<V>(sum);
    if (writes) {
      finish.end(total);
    }
  }
}
