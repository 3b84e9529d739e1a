#include "agent/queue/compression.h"

#include "agent/base/uninitialized.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <array>
#include <memory>
#include <new>

namespace msp::queue {
namespace {

constexpr int kBlockLevel = 1;
constexpr int kSmallFrameLevel = 3;
constexpr int kQuickFrameLevel = 1;
constexpr int kForeignWindowLogMax = 23;
constexpr std::size_t kPieceBytes = 16 * 1024;

struct ContextDeleter {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, ContextDeleter>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, ContextDeleter>;

/// Want of memory is no damage: what is whole would be dropped as if it were.
bool is_error(std::size_t code) {
  if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation) throw std::bad_alloc();
  return ZSTD_isError(code) != 0;
}

Decompressor new_decompressor() {
  Decompressor context(ZSTD_createDCtx());
  if (context == nullptr) throw std::bad_alloc();
  return context;
}

/// With valid parameters and room for the worst case memory is all that can be missing.
bool compress(ZSTD_CCtx* context, std::string_view content, std::string& to) {
  const auto bound = ZSTD_compressBound(content.size());
  resize_uninitialized(to, bound);
  const auto size = ZSTD_compress2(context, to.data(), to.size(), content.data(), content.size());
  if (ZSTD_isError(size)) return false;
  to.resize(size);
  return true;
}

/// The frame that `frames` begin with and the size of its content.
struct WholeFrame {
  std::string_view bytes;
  std::uint64_t content_size = 0;
};

std::optional<WholeFrame> first_frame(std::string_view frames) {
  const auto size = ZSTD_findFrameCompressedSize(frames.data(), frames.size());
  if (ZSTD_isError(size) || size == 0 || size > frames.size()) return std::nullopt;
  const auto content_size = ZSTD_getFrameContentSize(frames.data(), size);
  if (content_size == ZSTD_CONTENTSIZE_UNKNOWN || content_size == ZSTD_CONTENTSIZE_ERROR) {
    return std::nullopt;
  }
  return WholeFrame{frames.substr(0, size), content_size};
}

}  // namespace

bool compress_block(std::string_view content, std::string_view prefix, std::string& block) {
  const Compressor context(ZSTD_createCCtx());
  if (context == nullptr) return false;
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kBlockLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0);
  ZSTD_CCtx_refPrefix(context.get(), prefix.data(), prefix.size());
  return compress(context.get(), content, block);
}

std::optional<std::string> decompress_block(std::string_view block, std::size_t content_size,
                                            std::string_view prefix) {
  const auto context = new_decompressor();
  ZSTD_DCtx_refPrefix(context.get(), prefix.data(), prefix.size());
  std::string content(content_size, '\0');
  const auto size = ZSTD_decompressDCtx(context.get(), content.data(), content.size(), block.data(),
                                        block.size());
  if (is_error(size) || size != content_size) return std::nullopt;
  return content;
}

bool compress_frame(std::string_view content, std::string& frame, Frame kind) {
  const Compressor context(ZSTD_createCCtx());
  if (context == nullptr) return false;
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel,
                         kind == Frame::quick ? kQuickFrameLevel : kSmallFrameLevel);
  return compress(context.get(), content, frame);
}

std::optional<std::uint64_t> frames_content_size(std::string_view frames) {
  std::uint64_t content_size = 0;
  while (!frames.empty()) {
    const auto frame = first_frame(frames);
    if (!frame || frame->content_size > ~content_size) return std::nullopt;
    content_size += frame->content_size;
    frames.remove_prefix(frame->bytes.size());
  }
  return content_size;
}

std::optional<std::string> decompress_frames(std::string_view frames, std::size_t bytes_max) {
  const auto content_size = frames_content_size(frames);
  if (!content_size || *content_size > bytes_max) return std::nullopt;
  std::string content;
  resize_uninitialized(content, *content_size);
  if (!decompress_frames(frames, content.data(), content.size())) return std::nullopt;
  return content;
}

bool decompress_frames(std::string_view frames, char* to, std::size_t size) {
  const auto done = ZSTD_decompress(to, size, frames.data(), frames.size());
  return !is_error(done) && done == size;
}

Decompressed decompress_stream(std::string_view frames, std::size_t bytes_max,
                               std::string& content) {
  content.clear();
  // As most frames of senders do, it says how much it has.
  if (const auto size = frames_content_size(frames)) {
    if (*size > bytes_max) return Decompressed::too_large;
    content.reserve(*size);
  }
  const auto context = new_decompressor();
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kForeignWindowLogMax);
  ZSTD_inBuffer in{frames.data(), frames.size(), 0};
  std::array<char, kPieceBytes> piece;
  std::size_t left = 1;  // 0: a frame is over
  for (;;) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    const auto before = in.pos;
    left = ZSTD_decompressStream(context.get(), &out, &in);
    if (is_error(left)) return Decompressed::damaged;
    if (out.pos > bytes_max - content.size()) return Decompressed::too_large;
    content.append(piece.data(), out.pos);
    if (in.pos == in.size && left == 0) return Decompressed::whole;
    if (out.pos == 0 && in.pos == before) return Decompressed::damaged;  // it ends too early
  }
}

}  // namespace msp::queue
