// Keeps secrets out of what people read. A secret is hidden in every form in which a server, a proxy
// or a library is likely to repeat it: as it is, any of its bytes percent-encoded or escaped for HTML
// or JSON, percent-decoded, and in base64 whatever stands before it.
//
// Does not: hide secrets of fewer than kSecretBytesMin bytes, which are a word of the language sooner
// than a secret, nor what was encrypted, compressed or written in another encoding.
#pragma once

#include <cstddef>
#include <list>
#include <optional>
#include <string>
#include <string_view>

namespace msp {

/// Secrets and how they look. What it knows is overwritten when it goes.
class Redactor {
 public:
  static constexpr std::size_t kSecretBytesMin = 4;

  void add(std::string_view secret);

  /// The user and password of a URL and what stands behind its '?' and '#'.
  void add_url(std::string_view url);

  /// "dXNlcjpwYXNz", as HTTP's basic authentication sends it: the password in it.
  void add_basic_login(std::string_view base64);

  bool empty() const { return forms_.empty(); }

  /// Writes "***" over each secret in `text`, and over the user and password of every URL.
  void hide(std::string& text) const;

  /// The same for a text that may have been cut: the beginning of a secret at its end, too. Only for
  /// what others wrote: in the agent's own words it would tell a reader how a secret begins.
  void hide_cut(std::string& text) const;

 private:
  /// Text that is overwritten when it goes. Its address stays: a copy would be left behind.
  struct Form {
    explicit Form(std::size_t capacity) { text.reserve(capacity); }
    Form(const Form&) = delete;
    Form& operator=(const Form&) = delete;
    ~Form();
    std::string text;
  };
  struct Place {
    std::size_t begin;
    std::size_t end;
  };

  Form& form(std::size_t capacity) { return forms_.emplace_back(capacity); }
  static std::optional<Place> find(std::string_view text, const Form& form, std::size_t begin,
                                   bool may_be_cut);
  bool is_in_base64(std::string_view digits, bool may_be_cut) const;
  void hide_base64(std::string& text, bool may_be_cut) const;
  void hide(std::string& text, bool may_be_cut) const;

  std::list<Form> forms_;
};

/// Makes redact() hide these secrets, and those of the call before: of a configuration that was
/// replaced a server may still talk. Any thread.
void set_secrets(Redactor secrets);

/// `text` without the secrets of the configuration. Everything that the agent did not write itself
/// passes here before a person sees it. Any thread.
std::string redact(std::string_view text);

}  // namespace msp
