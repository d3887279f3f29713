// A kernel made of a few containers, whose n-th changing call can be told to fail.
#ifndef WHENCE_TESTS_UNIT_DATAPLANE_INTERCEPT_FAKE_KERNEL_H_
#define WHENCE_TESTS_UNIT_DATAPLANE_INTERCEPT_FAKE_KERNEL_H_

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "dataplane/intercept/kernel.h"

namespace whence::intercept {

// Strict where Linux is: what is there cannot be added again, what is not there cannot be deleted.
class FakeKernel final : public Kernel {
 public:
  struct State {
    std::string table;
    std::vector<FibRule> rules;
    std::vector<LocalRoute> routes;
    std::map<std::string, std::string> sysctls = {{"net.ipv4.tcp_fwmark_accept", "0"},
                                                  {"net.ipv4.fwmark_reflect", "0"},
                                                  {"net.ipv6.fwmark_reflect", "1"},
                                                  {"net.ipv4.conf.all.rp_filter", "1"},
                                                  {"net.ipv4.conf.lo.rp_filter", "0"}};
    bool loopback_six = false;
    friend bool operator==(const State&, const State&) = default;
  };

  State state;
  int changes = 0;          // changing calls so far
  int fail_at = -1;         // this one fails
  bool dead_after = false;  // and all that follow it as well, as if the process had died
  ListenerFacts listener;

  absl::StatusOr<std::string> ListTable(bool) override { return state.table; }
  absl::Status RunNft(const std::string& commands, bool dry_run) override {
    if (dry_run) return absl::OkStatus();
    if (absl::Status s = Change(); !s.ok()) return s;
    std::string text = commands;
    if (text.rfind("add table inet whence\n", 0) == 0) text.erase(0, 22);
    if (text.rfind(kDeleteTable, 0) == 0) {
      state.table.clear();
      text.erase(0, kDeleteTable.size());
    }
    if (!text.empty() && !state.table.empty()) return absl::InternalError("added to a table");
    if (!text.empty()) state.table = text;
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<FibRule>> ListRules() override { return state.rules; }
  absl::Status AddRule(const FibRule& rule) override { return Add(rule, &state.rules); }
  absl::Status DeleteRule(const FibRule& rule) override { return Delete(rule, &state.rules); }
  absl::StatusOr<std::vector<LocalRoute>> ListRoutes(uint32_t table) override {
    std::vector<LocalRoute> routes;
    for (const LocalRoute& route : state.routes) {
      if (route.table == table) routes.push_back(route);
    }
    return routes;
  }
  absl::Status AddRoute(const LocalRoute& route) override { return Add(route, &state.routes); }
  absl::Status DeleteRoute(const LocalRoute& route) override {
    return Delete(route, &state.routes);
  }

  absl::StatusOr<bool> HasLoopbackSix() override { return state.loopback_six; }
  absl::Status AddLoopbackSix() override { return SetSix(true); }
  absl::Status DeleteLoopbackSix() override { return SetSix(false); }

  absl::StatusOr<std::string> ReadSysctl(const std::string& name) override {
    const auto found = state.sysctls.find(name);
    if (found == state.sysctls.end()) return absl::NotFoundError("sysctl " + name);
    return found->second;
  }
  absl::Status WriteSysctl(const Sysctl& sysctl) override {
    if (absl::Status s = Change(); !s.ok()) return s;
    state.sysctls[sysctl.name] = sysctl.value;
    return absl::OkStatus();
  }

  absl::StatusOr<bool> LoopbackIsUp() override { return true; }
  absl::StatusOr<ListenerFacts> FindListener(uint16_t) override { return listener; }

 private:
  absl::Status Change() {
    const int number = changes++;
    const bool fails = fail_at >= 0 && (number == fail_at || (dead_after && number > fail_at));
    return fails ? absl::InternalError("told to fail") : absl::OkStatus();
  }
  template <typename T>
  absl::Status Add(const T& value, std::vector<T>* list) {
    if (absl::Status s = Change(); !s.ok()) return s;
    if (std::count(list->begin(), list->end(), value) > 0) {
      return absl::AlreadyExistsError("File exists");
    }
    list->push_back(value);
    return absl::OkStatus();
  }
  template <typename T>
  absl::Status Delete(const T& value, std::vector<T>* list) {
    if (absl::Status s = Change(); !s.ok()) return s;
    const auto found = std::find(list->begin(), list->end(), value);
    if (found == list->end()) return absl::NotFoundError("No such process");
    list->erase(found);
    return absl::OkStatus();
  }
  absl::Status SetSix(bool there) {
    if (absl::Status s = Change(); !s.ok()) return s;
    if (state.loopback_six == there) return absl::AlreadyExistsError("::6");
    state.loopback_six = there;
    return absl::OkStatus();
  }
};

}  // namespace whence::intercept

#endif  // WHENCE_TESTS_UNIT_DATAPLANE_INTERCEPT_FAKE_KERNEL_H_
