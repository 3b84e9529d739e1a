#include "agent/metrics/complaints.h"

#include <algorithm>

#include "agent/base/text.h"

namespace msp::metrics {
namespace {

/// With what would act on a terminal shown: files and devices can have any name.
std::string escaped(std::string_view text) {
  constexpr std::size_t kBytesMax = 1'000;
  const auto quote = quoted(text, kBytesMax);
  return quote.substr(1, quote.size() - 2);
}

std::string is_left_out(const Complaints::LeftOut& left_out) {
  std::string of;
  for (const auto part : left_out.of) of += part;
  return cat("; ", left_out.what, of.empty() ? "" : " of ", of, " is left out");
}

}  // namespace

void Complaints::garbled(std::string_view file, std::string_view text, std::string_view expected,
                         const LeftOut& left_out) {
  if (auto* const noted = note(file, left_out.what, expected)) {
    noted->message = cat(escaped(file), ": ", quoted(text, kQuotedBytesMax), " is not ", expected,
                         escaped(is_left_out(left_out)));
  }
}

void Complaints::repeated(std::string_view file, std::string_view name) {
  constexpr std::string_view kLine = "the second line";
  if (auto* const noted = note(file, kLine, "repeated")) {
    noted->message = cat(escaped(file), ": ", quoted(name, kQuotedBytesMax), " is there twice; ",
                         kLine, " is left out");
  }
}

void Complaints::unreadable(std::string_view file, const Error& error, const LeftOut& left_out) {
  if (auto* const noted = note(file, left_out.what, error.text)) {
    noted->message = escaped(cat(error.text, is_left_out(left_out)));
  }
}

Complaints::File* Complaints::note(std::string_view path, std::string_view what,
                                   std::string_view reason) {
  auto file = std::find_if(files_.begin(), files_.end(),
                           [&](const File& known) { return known.path == path; });
  if (file == files_.end()) {
    if (files_.size() == kFilesMax) {
      ++others_;
      return nullptr;
    }
    file = files_.insert(file, File{std::string(path)});
  }
  if (file->values++ > 0 || (file->what == what && file->reason == reason)) return nullptr;
  file->what = what;
  file->reason = reason;
  file->told = 0;
  return &*file;
}

std::string Complaints::File::change() const {
  if (values == 0) return cat(escaped(path), ": nothing is left out any more");
  if (values <= told) return {};
  if (values == 1) return message;
  return cat(message, ", and ", values - 1, values == 2 ? " more value" : " more values");
}

bool Complaints::any() const {
  return others_ > 0 ||
         std::ranges::any_of(files_, [](const File& file) { return file.values > 0; });
}

std::string Complaints::change_of_others() const {
  if (others_ > others_told_) {
    return cat("of more files than ", kFilesMax, ", ", others_,
               others_ == 1 ? " value is left out" : " values are left out");
  }
  if (others_ == 0 && others_told_ > 0) {
    return cat("of no more files than ", kFilesMax, " is anything left out");
  }
  return {};
}

void Complaints::forget_tick(bool is_told) {
  if (is_told) {
    std::erase_if(files_, [](const File& file) { return file.values == 0; });
    for (auto& file : files_) file.told = std::max(file.told, file.values);
    others_told_ = others_ == 0 ? 0 : std::max(others_told_, others_);
  }
  // What was noted in a tick that failed was never told.
  std::erase_if(files_, [](const File& file) { return file.told == 0; });
  for (auto& file : files_) file.values = 0;
  others_ = 0;
}

}  // namespace msp::metrics
