// Prometheus text (exposition format 0.0.4), gathered from whoever has numbers.
//
// Components keep their own counters (atomics beside what they count) and write them when asked;
// there is no registry of mutable globals. Labels are few and fixed: never a path, a client or any
// other text from the network, or the number of series would be the attacker's choice.
#ifndef WHENCE_CONTROLPLANE_METRICS_METRICS_H_
#define WHENCE_CONTROLPLANE_METRICS_METRICS_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace whence::metrics {

// Builds one exposition. Thread-compatible.
class TextWriter {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Names and help are literals. A family's samples follow it directly.
  void Counter(std::string_view name, std::string_view help) { Family(name, help, "counter"); }
  void Gauge(std::string_view name, std::string_view help) { Family(name, help, "gauge"); }
  void Sample(uint64_t value, Labels labels = {});
  void Sample(double value, Labels labels = {});

  const std::string& text() const { return text_; }

 private:
  void Family(std::string_view name, std::string_view help, std::string_view type);
  void SampleText(std::string_view value, Labels labels);

  std::string name_;
  std::string text_;
};

class Source {
 public:
  virtual ~Source() = default;
  // Must be safe from any thread and quick: it runs in the middle of a scrape.
  virtual void Collect(TextWriter& out) const = 0;
};

}  // namespace whence::metrics

#endif  // WHENCE_CONTROLPLANE_METRICS_METRICS_H_
