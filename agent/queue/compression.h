// zstd for the disk queue: blocks of a dictionary, and the frames of a request. One owner of zstd
// in this folder. Where there is no memory to decompress, std::bad_alloc is thrown: what is whole
// does not count as damaged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace msp::queue {

/// Replaces `block` by `content` as a zstd frame without the content's size in it. `prefix` is
/// known to the reader. False: there was no memory for it.
using Compress = bool (*)(std::string_view content, std::string_view prefix, std::string& block);

bool compress_block(std::string_view content, std::string_view prefix, std::string& block);

/// The content of a frame, if it has exactly `content_size` bytes, which the caller has limited.
std::optional<std::string> decompress_block(std::string_view block, std::size_t content_size,
                                            std::string_view prefix);

/// What a frame is made for.
enum class Frame {
  quick,  // it is read again at once, as a rule
  small,  // it stays on a disk
};

/// One frame with the content's size in its header. False: there was no memory for it.
bool compress_frame(std::string_view content, std::string& frame, Frame kind = Frame::small);

/// The size of the content of the frames that `frames` consist of, as they say themselves; nothing
/// where they are not whole or one does not say it.
std::optional<std::uint64_t> frames_content_size(std::string_view frames);

/// The content of all `frames`; nothing where it is not what they say, or more than `bytes_max`.
std::optional<std::string> decompress_frames(std::string_view frames, std::size_t bytes_max);
/// The same into memory, where it must have `size` bytes.
bool decompress_frames(std::string_view frames, char* to, std::size_t size);

enum class Decompressed { whole, damaged, too_large };

/// The content of frames of another program, which need not say its size. A frame that asks for a
/// window of more than 8 MiB counts as damaged.
Decompressed decompress_stream(std::string_view frames, std::size_t bytes_max,
                               std::string& content);

}  // namespace msp::queue
