// A progress bar for a terminal, in one line that is written over and over.
#ifndef WHENCE_CONTROLPLANE_CTL_PROGRESS_H_
#define WHENCE_CONTROLPLANE_CTL_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <ostream>
#include <string>

namespace whence::ctl {

// "[=======>            ]  37 %  1234567 records  81000/s  12s left". Pure.
std::string ProgressLine(double fraction, uint64_t records, std::chrono::milliseconds elapsed);

// Thread-compatible.
class ProgressBar {
 public:
  // Not `shown`: nothing is printed, ever.
  ProgressBar(std::ostream& out, bool shown) : out_(out), shown_(shown) {}
  // Takes its line away, so that what is printed next stands alone.
  ~ProgressBar();
  // Draws ten times a second, however often it is called.
  void Update(double fraction, uint64_t records);

 private:
  using Time = std::chrono::steady_clock::time_point;
  std::ostream& out_;
  const bool shown_;
  const Time began_ = std::chrono::steady_clock::now();
  Time drawn_{};
};

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_PROGRESS_H_
