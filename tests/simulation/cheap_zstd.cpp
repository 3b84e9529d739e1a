// zstd as cheap as it can be: its contexts are kept for the next use, for a simulated minute makes
// hundreds, and it does not search long for what is alike. Linked by --wrap, so that the agent's code
// is as it is.
#include <zstd.h>

#include <vector>

extern "C" {

ZSTD_CCtx* __real_ZSTD_createCCtx();
ZSTD_DCtx* __real_ZSTD_createDCtx();
std::size_t __real_ZSTD_CCtx_setParameter(ZSTD_CCtx* context, ZSTD_cParameter name, int value);

namespace {
std::vector<ZSTD_CCtx*> compressors;
std::vector<ZSTD_DCtx*> decompressors;
}  // namespace

ZSTD_CCtx* __wrap_ZSTD_createCCtx() {
  if (compressors.empty()) return __real_ZSTD_createCCtx();
  auto* const context = compressors.back();
  compressors.pop_back();
  return context;
}

std::size_t __wrap_ZSTD_freeCCtx(ZSTD_CCtx* context) {
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  compressors.push_back(context);
  return 0;
}

std::size_t __wrap_ZSTD_CCtx_setParameter(ZSTD_CCtx* context, ZSTD_cParameter name, int value) {
  const bool is_strategy = name == ZSTD_c_strategy;
  return __real_ZSTD_CCtx_setParameter(context, name, is_strategy ? ZSTD_fast : value);
}

ZSTD_DCtx* __wrap_ZSTD_createDCtx() {
  if (decompressors.empty()) return __real_ZSTD_createDCtx();
  auto* const context = decompressors.back();
  decompressors.pop_back();
  return context;
}

std::size_t __wrap_ZSTD_freeDCtx(ZSTD_DCtx* context) {
  ZSTD_DCtx_reset(context, ZSTD_reset_session_and_parameters);
  decompressors.push_back(context);
  return 0;
}

std::size_t __wrap_ZSTD_decompress(void* to, std::size_t capacity, const void* from,
                                   std::size_t size) {
  auto* const context = __wrap_ZSTD_createDCtx();
  const auto result = ZSTD_decompressDCtx(context, to, capacity, from, size);
  __wrap_ZSTD_freeDCtx(context);
  return result;
}

}  // extern "C"
