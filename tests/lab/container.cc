#include "tests/lab/container.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace whence::lab {
namespace {

using Json = nlohmann::json;

// $1 root, $2 state, $3 the program's folder, $4 "tmp" or nothing, then setpriv's arguments.
constexpr char kEnter[] = R"(
set -e
root=$1; state=$2; programs=$3; tmp=$4; shift 4
mkdir -p "$root" "$state"; chmod 0777 "$state"
mount --bind / "$root"
[ -z "$tmp" ] || mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root$programs"
mount --bind "$programs" "$root$programs"
mount -t tmpfs tmpfs "$root/var/lib"
mkdir "$root/var/lib/whence"
mount --bind "$state" "$root/var/lib/whence"
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
for part in "" "$programs" /var/lib /proc/sys; do mount -o remount,ro,bind "$root$part"; done
exec chroot "$root" setpriv "$@"
)";

// Of the container, or else of its pod.
const Json& Context(const Json& pod, const Json& container, const char* key) {
  static const Json kNothing;
  const Json::json_pointer path = Json::json_pointer("/securityContext") / key;
  if (container.contains(path)) return container[path];
  const Json::json_pointer of_pod = Json::json_pointer("/spec") / path;
  return pod.contains(of_pod) ? pod[of_pod] : kNothing;
}

const Json* Find(const Json& pod, const std::string& name) {
  for (const char* list : {"initContainers", "containers"}) {
    if (!pod["spec"].contains(list)) continue;
    for (const Json& container : pod["spec"][list]) {
      if (container.value("name", "") == name) return &container;
    }
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<Container> ReadContainer(const Json& pod, const std::string& name,
                                        const std::map<std::string, std::string>& fields) {
  const Json* const found = Find(pod, name);
  if (found == nullptr) return absl::NotFoundError("no container " + name);
  const Json capabilities = Context(pod, *found, "capabilities");
  if (capabilities.value("drop", Json()) != Json::array({"ALL"}) ||
      Context(pod, *found, "readOnlyRootFilesystem") != true ||
      Context(pod, *found, "allowPrivilegeEscalation") != false ||
      Context(pod, *found, "privileged") == true) {
    return absl::UnimplementedError(
        absl::StrCat(name, ": the lab runs no container of such rights: ", found->dump()));
  }
  Container container;
  container.args = found->value("args", std::vector<std::string>());
  container.capabilities = capabilities.value("add", std::vector<std::string>());
  container.uid = Context(pod, *found, "runAsUser").get<int>();
  container.gid = Context(pod, *found, "runAsGroup").get<int>();
  for (const Json& variable : found->value("env", Json::array())) {
    std::string& value = container.environment[variable["name"]];
    if (variable.contains("value")) {
      value = variable["value"];
      continue;
    }
    const std::string field = variable["valueFrom"]["fieldRef"]["fieldPath"];
    const auto known = fields.find(field);
    if (known == fields.end()) return absl::NotFoundError(name + ": no field " + field);
    value = known->second;
  }
  return container;
}

std::vector<std::string> ContainerCommand(const Container& container, const std::string& program,
                                          const std::string& root, const std::string& state) {
  std::string kept = "-all";
  for (const std::string& capability : container.capabilities) {
    absl::StrAppend(&kept, ",+", absl::AsciiStrToLower(capability));
  }
  std::vector<std::string> command = {"unshare",
                                      "--mount",
                                      "--propagation",
                                      "private",
                                      "sh",
                                      "-c",
                                      kEnter,
                                      "sh",
                                      root,
                                      state,
                                      program.substr(0, program.rfind('/')),
                                      container.has_tmp ? "tmp" : "",
                                      absl::StrCat("--reuid=", container.uid),
                                      absl::StrCat("--regid=", container.gid),
                                      "--clear-groups",
                                      "--inh-caps=" + kept,
                                      "--bounding-set=" + kept,
                                      "--no-new-privs",
                                      "env",
                                      "-i",
                                      "PATH=/usr/sbin:/usr/bin"};
  for (const auto& [name, value] : container.environment) {
    command.push_back(absl::StrCat(name, "=", value));
  }
  command.push_back(program);
  command.insert(command.end(), container.args.begin(), container.args.end());
  return command;
}

}  // namespace whence::lab
