#include "dataplane/dns/name_table.h"

#include <algorithm>

namespace whence::dns {

void NameTable::Want(const std::set<std::string>& names, SteadyTime now) {
  std::erase_if(names_, [&](const auto& entry) { return names.count(entry.first) == 0; });
  for (const std::string& name : names) names_.try_emplace(name, Name{.due = now});
}

std::vector<std::string> NameTable::TakeDue(SteadyTime now) {
  std::vector<std::string> due;
  for (auto& [name, entry] : names_) {
    if (!entry.due || *entry.due > now) continue;
    entry.due.reset();
    due.push_back(name);
  }
  return due;
}

std::optional<SteadyTime> NameTable::NextDue() const {
  std::optional<SteadyTime> next;
  for (const auto& [name, entry] : names_) {
    if (entry.due && (!next || *entry.due < *next)) next = entry.due;
  }
  return next;
}

bool NameTable::Answered(const std::string& name, std::vector<net::IpAddress> addresses,
                         std::chrono::seconds ttl, SteadyTime now) {
  const auto found = names_.find(name);
  if (found == names_.end() || addresses.empty()) return false;
  Name& entry = found->second;
  entry.failures = 0;
  entry.due = now + std::clamp<std::chrono::milliseconds>(ttl, limits_.floor, limits_.ceiling);
  // Name servers turn their answers round; that is no change.
  net::IpAddress first = addresses.front();
  if (!entry.addresses.empty() &&
      std::find(addresses.begin(), addresses.end(), entry.addresses.front()) != addresses.end()) {
    first = entry.addresses.front();
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  const auto at = std::find(addresses.begin(), addresses.end(), first);
  std::rotate(addresses.begin(), at, at + 1);
  if (entry.addresses == addresses) return false;
  entry.addresses = std::move(addresses);
  return true;
}

void NameTable::Failed(const std::string& name, SteadyTime now) {
  const auto found = names_.find(name);
  if (found == names_.end()) return;
  constexpr uint32_t kMostDoublings = 10;
  const auto wait = limits_.retry * (1 << std::min(found->second.failures, kMostDoublings));
  ++found->second.failures;
  found->second.due = now + std::min<std::chrono::milliseconds>(wait, limits_.longest_retry);
}

Answers NameTable::Known() const {
  Answers known;
  for (const auto& [name, entry] : names_) {
    if (!entry.addresses.empty()) known.emplace(name, entry.addresses);
  }
  return known;
}

size_t NameTable::failing() const {
  return static_cast<size_t>(std::count_if(
      names_.begin(), names_.end(), [](const auto& entry) { return entry.second.failures > 0; }));
}

}  // namespace whence::dns
