/* Every kernel, copy and fill of a process on the GPU, with its times: for where nsys is missing and ncu crashes.

   CUDA loads this library itself into a process that is told to (CUPTI's activity records, asked for before the first
   context):

     cuda=/usr/local/cuda/targets/x86_64-linux
     gcc -O1 -shared -fPIC -I$cuda/include -DKERNEL=$(grep -ho 'CUpti_ActivityKernel[0-9]*' $cuda/include/cupti_activity.h |
         sort -V | tail -1) cupti.c -o cupti.so -L$cuda/lib -lcupti -Wl,-rpath,$cuda/lib
     PROFILE=/tmp/run.csv CUDA_INJECTION64_PATH=$PWD/cupti.so workbench bench decode mamba_d20
     python3 look.py /tmp/run.csv

   Take the libcupti of the CUDA version that XLA's plugin brings, for two of them do not get along. The records cost a few
   microseconds each; PROFILE_API=1 adds the driver's calls, and costs more. */
#include <cupti.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER = 8 << 20, FLUSH_MILLISECONDS = 200 };

static FILE *out;

static void requested(uint8_t **buffer, size_t *size, size_t *records) {
  *size = BUFFER, *buffer = aligned_alloc(8, BUFFER), *records = 0;
}

static void line(char kind, uint64_t start, uint64_t end, uint64_t size, unsigned graph, const char *name) {
  fprintf(out, "%c,%llu,%llu,%llu,%u,%s\n", kind, (unsigned long long)start, (unsigned long long)end, (unsigned long long)size, graph, name);
}

static void completed(CUcontext context, uint32_t stream, uint8_t *buffer, size_t size, size_t valid) {
  CUpti_Activity *record = NULL;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    switch (record->kind) {
    case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL: {
      const KERNEL *k = (const KERNEL *)record;
      line('K', k->start, k->end, (uint64_t)k->gridX * k->gridY * k->gridZ, k->graphId, k->name);
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMCPY: {
      const CUpti_ActivityMemcpy6 *c = (const CUpti_ActivityMemcpy6 *)record;
      line('C', c->start, c->end, c->bytes, c->graphId, "copy");
      break;
    }
    case CUPTI_ACTIVITY_KIND_MEMSET: {
      const CUpti_ActivityMemset4 *s = (const CUpti_ActivityMemset4 *)record;
      line('S', s->start, s->end, s->bytes, s->graphId, "fill");
      break;
    }
    case CUPTI_ACTIVITY_KIND_DRIVER: {
      const CUpti_ActivityAPI *a = (const CUpti_ActivityAPI *)record;
      const char *name = "?";
      cuptiGetCallbackName(CUPTI_CB_DOMAIN_DRIVER_API, a->cbid, &name);
      line('D', a->start, a->end, 0, 0, name);
      break;
    }
    default:
      break;
    }
  }
  free(buffer);
}

static void finish(void) {
  cuptiActivityFlushAll(1);
  fclose(out);
}

int InitializeInjection(void) {
  const char *path = getenv("PROFILE");
  if (path == NULL || (out = fopen(path, "w")) == NULL) {
    fprintf(stderr, "profile: PROFILE must name a file that can be written\n");
    return 0;
  }
  cuptiActivityRegisterCallbacks(requested, completed);
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL);
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMCPY);
  cuptiActivityEnable(CUPTI_ACTIVITY_KIND_MEMSET);
  if (getenv("PROFILE_API") != NULL) {
    cuptiActivityEnable(CUPTI_ACTIVITY_KIND_DRIVER);
  }
  cuptiActivityFlushPeriod(FLUSH_MILLISECONDS);
  atexit(finish);
  return 1;
}
