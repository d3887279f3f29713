// A lab: a set of network namespaces and a directory under one name, and the promise that nothing
// of it stays behind.
//
// Three nets, from fine to coarse. The destructor removes the lab. A guardian process, which only
// waits for the end of a pipe that the lab's owner holds open, removes it when the owner dies in
// any other way, SIGKILL included. And every new lab sweeps up those whose owner is dead, for the
// machine that killed guardians too. `whence-lab up` leaves a lab without an owner: `down` removes
// it.
#ifndef WHENCE_TESTS_LAB_LAB_H_
#define WHENCE_TESTS_LAB_LAB_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/lab/namespace.h"

namespace whence::lab {

// Why the lab cannot run here, or OK: root and the programs ip and nft are needed.
absl::Status CanRun();

class Lab {
 public:
  // `name`: lower-case letters, digits and dashes. AlreadyExists if there is one. REQUIRES: a
  // single-threaded process.
  static absl::StatusOr<std::unique_ptr<Lab>> Create(const std::string& name);
  // A lab that `Create` and `Disown` left behind; not owned, so not removed on destruction.
  static absl::StatusOr<std::unique_ptr<Lab>> Open(const std::string& name);
  // A name nobody else has: prefix and process id.
  static std::string UniqueName(const std::string& prefix);
  static std::vector<std::string> Names();
  // NotFound if there is none.
  static absl::Status Remove(const std::string& name);
  // Removes the labs whose owner is dead.
  static void Sweep();

  Lab(const Lab&) = delete;
  Lab& operator=(const Lab&) = delete;
  ~Lab();

  const std::string& name() const { return name_; }
  // Files of the lab: outputs, data and state directories of its programs.
  const std::string& directory() const { return directory_; }
  // The namespace of that host or pod; it may have to be created yet.
  Namespace Space(const std::string& host) const;

  // From here on the lab outlives this process.
  absl::Status Disown();

 private:
  explicit Lab(std::string name);
  absl::Status StartGuardian();

  const std::string name_;
  const std::string directory_;
  int guard_pipe_ = -1;  // held open while we own the lab
  pid_t guardian_ = -1;
};

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_LAB_H_
