// What the kernels of the selective scan share: sizes, and the staging of one tile of tokens in shared memory.
#pragma once

#include "common.cuh"

// Sizes. They are no arguments: whoever embeds the PTX text writes the real numbers over these initial values.
extern "C" {
__constant__ int kBatch = 0x7A000001;          // B
__constant__ int kTime = 0x7A000002;           // T
__constant__ int kInner = 0x7A000003;          // I
__constant__ int kStates = 0x7A000004;         // N
__constant__ int kRowZ = 0x7A000005;           // z lies in rows of this many elements,
__constant__ int kOffsetZ = 0x7A000006;        // of which its own begin here
__constant__ int kRowB = 0x7A000007;           // the same for B
__constant__ int kOffsetB = 0x7A000008;
__constant__ int kRowC = 0x7A000009;           // and for C
__constant__ int kOffsetC = 0x7A00000A;
__constant__ int kSegments = 0x7A00000B;       // pieces of time that run in parallel
__constant__ int kSegmentTiles = 0x7A00000C;   // tiles in each of them but the last
}

typedef long long Index;

constexpr int kTile = 32; // tokens staged at once, and between two checkpoints

// What a token does to the state.
constexpr int kMarkStart = 1;   // the first token of a document: start from an empty state
constexpr int kMarkPadding = 2; // no token: leave the state

// At a document's start the decay uses this in place of Δ: exp(forget·A) is 0 for any A that float32 tells from 0.
constexpr float kForget = 1e30f;

// A padding's Δ is softplus(-∞) = 0, and so is its derivative: an argument, so that no branch leads around the function.
static __device__ __forceinline__ float unless_padding(int mark, float x) {
  return mark == kMarkPadding ? -__uint_as_float(0x7f800000u) : x;
}

constexpr unsigned kAllLanes = 0xffffffffu;

static __device__ __forceinline__ int tiles() { return (kTime + kTile - 1) / kTile; }

static __device__ __forceinline__ int smaller(int a, int b) { return a < b ? a : b; }

// Share is what one thread stages of a tile of kTile tokens × kChannels channels: kVector neighbouring channels of
// kPasses tokens that lie kRows apart.
template <int kThreads, int kChannels, int kMost>
struct Share {
  static constexpr int kEach = kTile * kChannels / kThreads;
  static constexpr int kVector = kEach > kMost ? kMost : kEach < 2 ? 2 : kEach;
  static constexpr int kAcross = kChannels / kVector;
  static constexpr int kRows = kThreads / kAcross < kTile ? kThreads / kAcross : kTile;
  static constexpr int kPasses = kTile / kRows;
  static constexpr bool kAll = kRows * kAcross == kThreads; // all threads have a share
  typedef Vector<kVector> Elements;

  int channel; // the first one, within the block
  int i;       // and within the row
  int row;     // token of the first pass, within the tile
  bool active; // this thread has a share
  bool whole;  // vectors are aligned and in range, for all threads of the block

  __device__ __forceinline__ Share(int block) {
    channel = int(threadIdx.x) % kAcross * kVector;
    i = block * kChannels + channel;
    row = int(threadIdx.x) / kAcross;
    active = kAll || row < kRows;
    if (!kAll) row = smaller(row, kRows - 1);
    whole = (kInner | kRowZ | kOffsetZ) % kVector == 0 && (block + 1) * kChannels <= kInner;
  }

  // read takes the share's channels from a row that begins `row` elements after x. Channels beyond the last are zero.
  template <bool kWhole>
  __device__ __forceinline__ void read(Elements& to, const Element* x, int row) const {
    if (kWhole) {
      to.read(x + (row + i));
      return;
    }
#pragma unroll
    for (int e = 0; e < kVector; e += 2)
      to.put(e, i + e < kInner ? widen(x[row + i + e]) : 0.0f, i + e + 1 < kInner ? widen(x[row + i + e + 1]) : 0.0f);
  }

  template <bool kWhole>
  __device__ __forceinline__ void write(const Elements& from, Element* x, int row) const {
    if (kWhole) {
      from.write(x + (row + i));
      return;
    }
#pragma unroll
    for (int e = 0; e < kVector; e++)
      if (i + e < kInner) x[row + i + e] = narrow(from.at(e));
  }
};

// States is what one thread stages of a tile of tokens × kPadded states of B and of C (kKinds 2) or of one of them.
template <int kThreads, int kPadded, int kKinds = 2>
struct States {
  static constexpr int kVector = kKinds * kTile * kPadded >= 8 * kThreads ? 8 : 4;
  static constexpr int kVectors = kTile * kPadded / kVector; // of each kind
  static constexpr int kEach = kKinds * kVectors / kThreads;
  static_assert(kKinds * kVectors % kThreads == 0, "every thread has the same number of vectors");
  Vector<kVector> x[kEach];

  // load reads tokens t0 and following of B and C, zero beyond T and N.
  __device__ __forceinline__ void load(const Element* b, int row_b, const Element* c, int row_c, int t0) {
    const bool whole = (kRowB | kOffsetB | kRowC | kOffsetC) % kVector == 0 && kStates == kPadded;
    const Element *b0 = b + Index(t0) * row_b, *c0 = c + Index(t0) * row_c;
    const int live = kTime - t0;
    if (whole) {
#pragma unroll
      for (int p = 0; p < kEach; p++) {
        int v = p * kThreads + threadIdx.x, t = v / (kPadded / kVector) % kTile, n = v % (kPadded / kVector) * kVector;
        if (t < live) x[p].read(v < kVectors ? b0 + (t * row_b + n) : c0 + (t * row_c + n));
        else x[p].clear();
      }
      return;
    }
#pragma unroll
    for (int p = 0; p < kEach; p++) {
      int v = p * kThreads + threadIdx.x, t = v / (kPadded / kVector) % kTile, n = v % (kPadded / kVector) * kVector;
      const Element* from = v < kVectors ? b0 + t * row_b : c0 + t * row_c;
#pragma unroll
      for (int e = 0; e < kVector; e += 2)
        x[p].put(e, t < live && n + e < kStates ? widen(from[n + e]) : 0.0f,
                 t < live && n + e + 1 < kStates ? widen(from[n + e + 1]) : 0.0f);
    }
  }

  // store puts them as float32 [2][kTile][kPadded], B before C.
  __device__ __forceinline__ void store(float* to) const {
#pragma unroll
    for (int p = 0; p < kEach; p++) {
      float4* at = reinterpret_cast<float4*>(to + (p * kThreads + threadIdx.x) * kVector);
#pragma unroll
      for (int e = 0; e < kVector; e += 4)
        at[e / 4] = make_float4(x[p].at(e), x[p].at(e + 1), x[p].at(e + 2), x[p].at(e + 3));
    }
  }
};

// place is where a channel's {float, float} lies in a tile's row, so that threads that write the same channels of different
// vectors meet different banks.
static __device__ __forceinline__ int place(int channel) { return channel ^ (channel >> 4 & 3) << 1; }

static __device__ __forceinline__ void load4(float (&to)[4], const float* from) {
  float4 x = *reinterpret_cast<const float4*>(from);
  to[0] = x.x, to[1] = x.y, to[2] = x.z, to[3] = x.w;
}
