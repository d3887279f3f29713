#include "dataplane/intercept/linux_kernel.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <nftables/libnftables.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "dataplane/intercept/rtnetlink.h"

namespace whence::intercept {
namespace {

struct ContextDeleter {
  void operator()(nft_ctx* context) const { nft_ctx_free(context); }
};
using Context = std::unique_ptr<nft_ctx, ContextDeleter>;

// libnftables without the right to ask prints a line of its own on standard error.
bool MayAsk() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return true;
  return (data[CAP_TO_INDEX(CAP_NET_ADMIN)].effective & CAP_TO_MASK(CAP_NET_ADMIN)) != 0;
}

// A context holds a netlink socket of the namespace it was made in, so each call makes its own.
absl::StatusOr<Context> NewContext() {
  Context context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_output(context.get()) != 0 ||
      nft_ctx_buffer_error(context.get()) != 0) {
    return absl::UnavailableError("libnftables: cannot open a netlink socket");
  }
  return context;
}

// libnftables explains in several lines with the command below; the first says it all.
std::string FirstLine(const char* text) {
  std::string line(text == nullptr ? "" : text);
  line.erase(std::min(line.find('\n'), line.size()));
  return line;
}

absl::StatusOr<std::string> Run(const std::string& commands, unsigned int output_flags,
                                bool dry_run) {
  if (!MayAsk()) {
    return absl::PermissionDeniedError("nftables: not permitted: needs CAP_NET_ADMIN, as root has");
  }
  auto context = NewContext();
  if (!context.ok()) return context.status();
  nft_ctx_output_set_flags(context->get(), output_flags);
  nft_ctx_set_dry_run(context->get(), dry_run);
  if (nft_run_cmd_from_buffer(context->get(), commands.c_str()) != 0) {
    const int error = errno;
    const std::string message =
        absl::StrCat("nftables: ", FirstLine(nft_ctx_get_error_buffer(context->get())));
    return error == EPERM ? absl::PermissionDeniedError(message + " (needs CAP_NET_ADMIN)")
                          : absl::InternalError(message);
  }
  return std::string(nft_ctx_get_output_buffer(context->get()));
}

std::string SysctlPath(const std::string& name) {
  return "/proc/sys/" + absl::StrReplaceAll(name, {{".", "/"}});
}

}  // namespace

absl::StatusOr<std::string> LinuxKernel::ListTable(bool with_counters) {
  // Asking for a table that is not there is an error like any other, so look for its name first.
  auto tables = Run("list tables inet", 0, false);
  if (!tables.ok()) return tables.status();
  if (("\n" + *tables).find("\ntable inet whence\n") == std::string::npos) return std::string();
  return Run("list table inet whence", with_counters ? 0 : NFT_CTX_OUTPUT_STATELESS, false);
}

absl::Status LinuxKernel::RunNft(const std::string& commands, bool dry_run) {
  return Run(commands, 0, dry_run).status();
}

absl::StatusOr<std::vector<FibRule>> LinuxKernel::ListRules() { return ListFibRules(); }
absl::Status LinuxKernel::AddRule(const FibRule& rule) { return ChangeFibRule(rule, true); }
absl::Status LinuxKernel::DeleteRule(const FibRule& rule) { return ChangeFibRule(rule, false); }

absl::StatusOr<std::vector<LocalRoute>> LinuxKernel::ListRoutes(uint32_t table) {
  return ListTableRoutes(table);
}
absl::Status LinuxKernel::AddRoute(const LocalRoute& route) {
  return ChangeLocalRoute(route, true);
}
absl::Status LinuxKernel::DeleteRoute(const LocalRoute& route) {
  return ChangeLocalRoute(route, false);
}

absl::StatusOr<bool> LinuxKernel::HasLoopbackSix() { return HasLoopbackAddressSix(); }
absl::Status LinuxKernel::AddLoopbackSix() { return ChangeLoopbackAddressSix(true); }
absl::Status LinuxKernel::DeleteLoopbackSix() { return ChangeLoopbackAddressSix(false); }
absl::StatusOr<bool> LinuxKernel::LoopbackIsUp() { return IsLoopbackUp(); }

absl::StatusOr<std::string> LinuxKernel::ReadSysctl(const std::string& name) {
  const int fd = open(SysctlPath(name).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("sysctl ", name));
  char text[64];
  const ssize_t size = read(fd, text, sizeof(text));
  const int error = errno;
  close(fd);
  if (size < 0) return absl::ErrnoToStatus(error, absl::StrCat("sysctl ", name));
  std::string value(text, static_cast<size_t>(size));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

absl::Status LinuxKernel::WriteSysctl(const Sysctl& sysctl) {
  const std::string what = absl::StrCat("sysctl ", sysctl.name, "=", sysctl.value);
  const int fd = open(SysctlPath(sysctl.name).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, what);
  const ssize_t written = write(fd, sysctl.value.data(), sysctl.value.size());
  const int error = errno;
  close(fd);
  if (written != static_cast<ssize_t>(sysctl.value.size())) {
    return absl::ErrnoToStatus(error, what);
  }
  return absl::OkStatus();
}

absl::StatusOr<ListenerFacts> LinuxKernel::FindListener(uint16_t port) {
  return FindTcpListener(port);
}

}  // namespace whence::intercept
