#include "controlplane/store/ip_set_contents.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/store/values.h"

namespace whence::store {

constexpr Sql kIpSetContentSchema = R"sql(
create table ip_set_content (
  version text primary key,       -- digest of the content
  base text,                      -- that it is a difference from; null: whole
  steps integer not null,         -- differences down to the whole one
  chain_bytes integer not null,   -- their size
  added_v4 blob not null,         -- 5 bytes a CIDR
  added_v6 blob not null,         -- 17
  removed_v4 blob not null,
  removed_v6 blob not null);
)sql";

absl::StatusOr<IpSetContents> IpSetContents::Prepare(Database& database) {
  absl::StatusOr<Statement> find = database.Prepare(
      "select steps, chain_bytes from ip_set_content where version = ?1", "find a set's content");
  if (!find.ok()) return find.status();
  absl::StatusOr<Statement> read = database.Prepare(
      "select base, added_v4, added_v6, removed_v4, removed_v6 from ip_set_content "
      "where version = ?1",
      "read a set's content");
  if (!read.ok()) return read.status();
  absl::StatusOr<Statement> insert =
      database.Prepare("insert into ip_set_content values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                       "write a set's content");
  if (!insert.ok()) return insert.status();
  return IpSetContents(std::move(*find), std::move(*read), std::move(*insert));
}

absl::Status IpSetContents::PutBack(v1::Document* document) {
  if (!document->has_ip_set() || document->ip_set().packed().version().empty()) {
    return absl::OkStatus();
  }
  v1::PackedCidrs* packed = document->mutable_ip_set()->mutable_packed();
  const std::string version = packed->version();
  absl::StatusOr<net::PackedCidrs> content = Read(version);
  if (!content.ok()) return content.status();
  packed->Clear();
  packed->set_v4(std::move(content->v4));
  packed->set_v6(std::move(content->v6));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<IpSetContents::Chain>> IpSetContents::Find(
    const std::string& version) {
  find_.Bind(1, std::string_view(version));
  absl::StatusOr<bool> row = find_.Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  Chain chain{find_.Int(0), find_.Int(1)};
  find_.Reset();
  return chain;
}

absl::StatusOr<net::PackedCidrs> IpSetContents::Read(const std::string& version) {
  const auto lost = [&] {
    return absl::DataLossError(absl::StrCat("the store's set content ", version, " is damaged"));
  };
  std::vector<net::CidrDelta> deltas;  // the last is whole
  std::optional<std::string> next = version;
  while (next) {
    // A base is always older, so a longer chain is no chain of ours.
    if (deltas.size() > size_t{kMaxContentSteps}) return lost();
    read_.Bind(1, std::string_view(*next));
    absl::StatusOr<bool> row = read_.Step();
    if (!row.ok()) return row.status();
    if (!*row) return lost();
    const auto text = [this](int column) { return std::string(read_.Text(column)); };
    deltas.push_back({{text(1), text(2)}, {text(3), text(4)}});
    next = read_.IsNull(0) ? std::nullopt : std::optional(text(0));
    read_.Reset();
  }
  net::PackedCidrs content = std::move(deltas.back().added);
  for (auto delta = std::next(deltas.rbegin()); delta != deltas.rend(); ++delta) {
    absl::StatusOr<net::PackedCidrs> after = net::ApplyDelta(content, *delta);
    if (!after.ok()) return lost();
    content = *std::move(after);
  }
  if (net::VersionOf(content) != version) return lost();
  return content;
}

absl::Status IpSetContents::Insert(const std::string& version,
                                   const std::optional<std::string>& base, Chain chain,
                                   const net::CidrDelta& delta) {
  std::optional<std::string_view> base_text;
  if (base) base_text = *base;
  return insert_.Run(std::string_view(version), base_text, chain.steps, chain.bytes,
                     Blob{delta.added.v4}, Blob{delta.added.v6}, Blob{delta.removed.v4},
                     Blob{delta.removed.v6});
}

absl::Status IpSetContents::Keep(const std::string& version, const net::PackedCidrs& content,
                                 const std::string& replaced) {
  absl::StatusOr<std::optional<Chain>> known = Find(version);
  if (!known.ok()) return known.status();
  if (*known) return absl::OkStatus();
  absl::StatusOr<std::optional<Chain>> base = Find(replaced);
  if (!base.ok()) return base.status();
  if (*base && (*base)->steps < kMaxContentSteps) {
    absl::StatusOr<net::PackedCidrs> before = Read(replaced);
    if (!before.ok()) return before.status();
    const net::CidrDelta delta = net::Difference(*before, content);
    const Chain chain{(*base)->steps + 1, (*base)->bytes + static_cast<int64_t>(delta.bytes())};
    // Half of a whole one, over the whole chain: so differences never take more than contents would.
    if (chain.bytes * 2 < static_cast<int64_t>(content.bytes())) {
      return Insert(version, replaced, chain, delta);
    }
  }
  return Insert(version, std::nullopt, {}, {content, {}});
}

}  // namespace whence::store
