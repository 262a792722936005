// Kernels with one mistake each, to prove that the emulation finds them. Block (64,1,1), grid (1,1,1), 256 bytes of dynamic
// shared memory; 64 numbers in and out.
#define KERNEL(name) extern "C" __global__ void name(const float *in, float *out)

extern "C" __constant__ int kOwn = 3;
extern __shared__ float dynamicNumbers[];

KERNEL(none) {
  __shared__ float all[64];
  dynamicNumbers[threadIdx.x] = in[threadIdx.x];
  __syncthreads();
  all[threadIdx.x] = __shfl_xor_sync(0xffffffffu, dynamicNumbers[63 - threadIdx.x], 31);
  __syncthreads();
  out[threadIdx.x] = all[threadIdx.x ^ 32];
}

KERNEL(missing_barrier) {
  __shared__ float all[64];
  all[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = all[63 - threadIdx.x];
}

KERNEL(missing_second_barrier) {
  __shared__ float all[64];
  out[threadIdx.x] = 0;
  for (int i = 0; i < 2; i++) {
    all[threadIdx.x] = in[threadIdx.x] + i;
    __syncthreads();
    out[threadIdx.x] += all[threadIdx.x ^ 32];
  }
}

KERNEL(half_of_the_block_waits) {
  if (threadIdx.x < 32) __syncthreads();
  out[threadIdx.x] = in[threadIdx.x];
}

KERNEL(block_waits_at_two_places) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = in[threadIdx.x];
}

KERNEL(a_lane_leaves_its_warp) {
  if (threadIdx.x == 5) return;
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, in[threadIdx.x], 1);
}

KERNEL(part_of_a_warp_shuffles) { out[threadIdx.x] = __shfl_xor_sync(0xffffu, in[threadIdx.x], 1); }

KERNEL(reads_past_an_operand) { out[threadIdx.x] = in[threadIdx.x + 1]; }

KERNEL(writes_before_a_result) { out[int(threadIdx.x) - 1] = in[threadIdx.x]; }

KERNEL(writes_an_operand) { out[threadIdx.x] = const_cast<float *>(in)[threadIdx.x] = 7; }

KERNEL(writes_past_a_shared_array) {
  __shared__ float all[64];
  float *to = all + 1;
  to[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = to[threadIdx.x];
}

KERNEL(writes_past_dynamic_shared_memory) {
  dynamicNumbers[threadIdx.x + 1] = in[threadIdx.x];
  out[threadIdx.x] = dynamicNumbers[threadIdx.x + 1];
}

KERNEL(reads_past_an_array_of_its_own) {
  float two[2] = {in[threadIdx.x], 0};
  out[threadIdx.x] = two[threadIdx.x % 3];
}

KERNEL(reads_a_vector_that_is_not_aligned) { out[threadIdx.x] = reinterpret_cast<const float2 *>(in + 1)->y; }

KERNEL(leaves_a_result_unwritten) {
  if (threadIdx.x != 9) out[threadIdx.x] = in[threadIdx.x];
}

KERNEL(reads_shared_memory_before_it_is_written) {
  __shared__ float all[64];
  if (threadIdx.x != 9) all[threadIdx.x] = in[threadIdx.x];
  out[threadIdx.x] = all[threadIdx.x];
}
