#include "controlplane/ctl/progress.h"

#include <algorithm>
#include <cstdio>

#include "controlplane/ctl/text.h"

namespace whence::ctl {

std::string ProgressLine(double fraction, uint64_t records, std::chrono::milliseconds elapsed) {
  constexpr int kCells = 30;
  fraction = std::clamp(fraction, 0.0, 1.0);
  const int done = static_cast<int>(fraction * kCells);
  std::string bar(static_cast<size_t>(done), '=');
  if (done < kCells) bar += '>';
  bar.resize(kCells, ' ');
  const double seconds = static_cast<double>(elapsed.count()) / 1000;
  char text[160];
  std::snprintf(text, sizeof text, "[%s] %3d %%  %llu records", bar.c_str(),
                static_cast<int>(fraction * 100), static_cast<unsigned long long>(records));
  std::string line = text;
  if (seconds < 0.5 || fraction <= 0) return line;
  std::snprintf(text, sizeof text, "  %.0f/s", static_cast<double>(records) / seconds);
  line += text;
  const double left = seconds / fraction - seconds;
  return line + "  " + SpanText(static_cast<int64_t>(left * 1e6)) + " left";
}

ProgressBar::~ProgressBar() {
  if (shown_ && drawn_ != Time()) out_ << "\r\x1b[K" << std::flush;
}

void ProgressBar::Update(double fraction, uint64_t records) {
  const Time now = std::chrono::steady_clock::now();
  if (!shown_ || now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  const auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_);
  out_ << "\r" << ProgressLine(fraction, records, elapsed) << "\x1b[K" << std::flush;
}

}  // namespace whence::ctl
