#include "tests/vectors/http1.h"

#include <algorithm>

#include "common/base/strings.h"

namespace whence::vectors {

using nlohmann::json;

bool PiecewiseInput::More() {
  if (given_ == bytes_.size()) return false;
  given_ = std::min(given_ + step_, bytes_.size());
  return true;
}

BodyEnd PassBody(http::BodyDecoder decoder, PiecewiseInput& input, std::string* body) {
  http::BodyDecoder receiver = decoder;
  std::string passed_on;
  for (;;) {
    const auto passed = decoder.PassThrough(input.front());
    passed_on.append(input.front().data(), passed.produced);
    input.Use(passed.consumed);
    if (passed.status == http::ParseStatus::kReject) return BodyEnd::kMalformed;
    if (passed.status == http::ParseStatus::kDone) break;
    if (input.More()) continue;
    if (!decoder.EndOfInput()) return BodyEnd::kCut;
    break;
  }
  for (std::string_view rest = passed_on; !rest.empty();) {
    const auto step = receiver.Next(rest);
    if (step.kind == http::BodyDecoder::Kind::kPayload) body->append(rest.substr(0, step.bytes));
    if (step.bytes == 0) break;
    rest.remove_prefix(step.bytes);
  }
  if (!receiver.EndOfInput()) *body = "?";
  return BodyEnd::kDone;
}

http::HeadLimits LimitsOf(const json& vector) {
  http::HeadLimits limits;
  if (!vector.contains("cfg") || !vector["cfg"].is_object()) return limits;
  const json& cfg = vector["cfg"];
  limits.max_bytes =
      cfg.value("max_header_bytes", cfg.value("max_response_header_bytes", limits.max_bytes));
  limits.max_fields = cfg.value("max_headers", limits.max_fields);
  limits.connect_enabled = cfg.value("connect_enabled", false);
  return limits;
}

std::vector<size_t> StepsFor(const json& vector) {
  const size_t size = vector.at("raw_hex").get_ref<const std::string&>().size() / 2;
  std::vector<size_t> steps = {size + 1, 1447};
  for (size_t step = 1; size < 1000 && step <= 16; ++step) steps.push_back(step);
  return steps;
}

std::string FromHex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char c : bytes) hex += {kDigits[c >> 4], kDigits[c & 15]};
  return hex;
}

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), ToLowerAscii);
  return text;
}

std::string NormalForm(const std::string& head) {
  std::string out;
  for (size_t at = 0; at < head.size();) {
    const size_t end = std::min(head.find("\r\n", at), head.size());
    std::string line = head.substr(at, end - at);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (at > 0 && colon != std::string::npos) {
      line = Lower(line.substr(0, colon)) + line.substr(colon);
    }
    out += line + "\r\n";
    at = end + 2;
  }
  return out;
}

size_t CountFields(const std::string& normal_head, const std::string& name) {
  const std::string start = "\r\n" + name + ":";
  size_t count = 0;
  for (size_t at = 0; (at = normal_head.find(start, at)) != std::string::npos; ++at) ++count;
  return count;
}

std::vector<std::string> Texts(const json& out, const char* name) {
  if (!out.contains(name) || !out[name].is_array()) return {};
  auto texts = out[name].get<std::vector<std::string>>();
  for (std::string& text : texts) {
    // U+0080 to U+00FF are two bytes of UTF-8, the first 0xc2 or 0xc3.
    for (size_t at = 0; at + 1 < text.size(); ++at) {
      const auto lead = static_cast<unsigned char>(text[at]);
      if (lead != 0xc2 && lead != 0xc3) continue;
      const auto low = static_cast<unsigned char>(text[at + 1]);
      text.replace(at, 2, 1, static_cast<char>(((lead & 3) << 6) | (low & 0x3f)));
    }
  }
  return texts;
}

std::vector<std::string> Classes(const json& out) {
  std::vector<std::string> classes = Texts(out, "class_any");
  if (classes.empty()) classes = {out.at("class").get<std::string>()};
  return classes;
}

}  // namespace whence::vectors
