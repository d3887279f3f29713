// Runs a program as a container of a manifest would run: its user, its capabilities, a root that
// cannot be written, /proc/sys neither, and no more of the environment than the manifest says.
//
// Made of unshare, mount, chroot and setpriv, in the lab's network namespaces. Not the same as in a
// cluster: no image (the root is this machine's), no seccomp profile, no limits of memory and CPU.
#ifndef WHENCE_TESTS_LAB_CONTAINER_H_
#define WHENCE_TESTS_LAB_CONTAINER_H_

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace whence::lab {

struct Container {
  std::vector<std::string> args;
  std::map<std::string, std::string> environment;
  int uid = 0;
  int gid = 0;
  std::vector<std::string> capabilities;  // "NET_RAW"; all others are dropped
  bool has_tmp = false;                   // an emptyDir at /tmp
};

// A container of `pod` as a manifest has it. `fields`: what the downward API gives, by fieldPath.
// Fails where the manifest asks for more than this can do: privileges, a writable root.
absl::StatusOr<Container> ReadContainer(const nlohmann::json& pod, const std::string& name,
                                        const std::map<std::string, std::string>& fields);

// The command that runs `program` so. `root`: an empty directory to build its root on; `state`:
// becomes /var/lib/whence, the only place that it may write.
std::vector<std::string> ContainerCommand(const Container& container, const std::string& program,
                                          const std::string& root, const std::string& state);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_CONTAINER_H_
