#include "controlplane/etcd/etcd_store.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/packed_cidrs.h"
#include "controlplane/store/values.h"

namespace whence::etcd {
namespace {

using store::CommitRequest;
using store::CommitResult;
using store::DocumentKey;
using store::Mutation;

constexpr uint32_t kFormat = 1;
// A manifest's page ends where an entry's own key says so, once in so many, and at the latest here.
constexpr unsigned char kPageMask = 0x1f;
constexpr int kMaxPageEntries = 256;
// A commit that somebody else's got in the way of, on no condition of its own, is made up again.
constexpr int kMaxTries = 8;
// Outlasts any commit that still makes progress.
constexpr std::chrono::minutes kPendingFor(15);

DocumentKey KeyOf(const v1::ManifestEntry& entry) {
  return {entry.kind(), entry.namespace_(), entry.name()};
}

bool IsDeleted(const v1::ManifestEntry& entry) { return !entry.has_document(); }

bool SamePlace(const v1::PackRef& a, const v1::PackRef& b) {
  return a.pack() == b.pack() && a.offset() == b.offset() && a.size() == b.size();
}

bool EndsPage(const v1::ManifestEntry& entry) {
  const DocumentKey key = KeyOf(entry);
  const std::string digest =
      DigestOf(absl::StrCat(key.kind, "\n", key.namespace_name, "\n", key.name));
  return (static_cast<unsigned char>(digest[0]) & kPageMask) == 0;
}

absl::Status Unreadable(const std::string& what) {
  return absl::DataLossError(absl::StrCat("the store's ", what, " cannot be read back"));
}

template <typename Message>
absl::Status Parse(const std::string& bytes, const std::string& what, Message* message) {
  return message->ParseFromString(bytes) ? absl::OkStatus() : Unreadable(what);
}

v1::SetDelta ToProto(const net::CidrDelta& delta) {
  v1::SetDelta proto;
  proto.set_added_v4(delta.added.v4);
  proto.set_added_v6(delta.added.v6);
  proto.set_removed_v4(delta.removed.v4);
  proto.set_removed_v6(delta.removed.v6);
  return proto;
}

net::CidrDelta FromProto(v1::SetDelta proto) {
  return {{std::move(*proto.mutable_added_v4()), std::move(*proto.mutable_added_v6())},
          {std::move(*proto.mutable_removed_v4()), std::move(*proto.mutable_removed_v6())}};
}

net::PackedCidrs ContentOf(const v1::Document& document) {
  return {document.ip_set().packed().v4(), document.ip_set().packed().v6()};
}

// How many of `entry`'s steps lead to what `known` holds already; 0 if none do.
int KnownSteps(const v1::ManifestEntry& entry, const v1::ManifestEntry& known) {
  if (known.content_size() > entry.content_size()) return 0;
  for (int i = 0; i < known.content_size(); ++i) {
    if (!SamePlace(known.content(i), entry.content(i))) return 0;
  }
  return known.content_size();
}

}  // namespace

struct EtcdStore::Draft {
  explicit Draft(uint64_t new_revision) : pack(new_revision) {}
  PackWriter pack;
  v1::RevisionRecord record;
  std::vector<Page> pages;
  Items items;
  CommitResult result;
};

absl::StatusOr<std::unique_ptr<EtcdStore>> EtcdStore::Open(Client& client, const Clock& clock) {
  std::unique_ptr<EtcdStore> opened(new EtcdStore(client, clock));
  absl::StatusOr<Head> head = opened->ReadHead();
  if (!head.ok()) return head.status();
  absl::Status swept = SweepPacks(client, clock.Now() - kPendingFor);
  if (!swept.ok()) return swept;
  return opened;
}

std::string EtcdStore::RevisionKey(uint64_t revision) const {
  return client_.Key(absl::StrCat("revision/", absl::Hex(revision, absl::kZeroPad16)));
}

absl::StatusOr<EtcdStore::Head> EtcdStore::ReadHead() {
  etcdserverpb::RangeRequest request;
  request.set_key(client_.Key("live/head"));
  absl::StatusOr<etcdserverpb::RangeResponse> found = client_.Range(request);
  if (!found.ok()) return found.status();
  Head head;
  if (found->kvs_size() == 0) return head;
  v1::Head value;
  absl::Status status = Parse(found->kvs(0).value(), "head", &value);
  if (!status.ok()) return status;
  if (value.format() > kFormat) {
    return absl::FailedPreconditionError(
        "etcd holds a configuration that a newer version of this program has written");
  }
  head.revision = value.revision();
  head.mod_revision = found->kvs(0).mod_revision();
  return head;
}

absl::StatusOr<v1::RevisionRecord> EtcdStore::ReadRecord(uint64_t revision) {
  etcdserverpb::RangeRequest request;
  request.set_key(RevisionKey(revision));
  absl::StatusOr<etcdserverpb::RangeResponse> found = client_.Range(request);
  if (!found.ok()) return found.status();
  if (found->kvs_size() == 0) {
    return absl::NotFoundError(absl::StrCat("there is no revision ", revision));
  }
  v1::RevisionRecord record;
  absl::Status status = Parse(found->kvs(0).value(), absl::StrCat("revision ", revision), &record);
  if (!status.ok()) return status;
  return record;
}

absl::Status EtcdStore::ReadPages(const Tree& known, Tree* tree) {
  absl::StatusOr<std::vector<std::string>> bytes = ReadPacks(client_, {tree->record.manifest()});
  if (!bytes.ok()) return bytes.status();
  v1::Manifest manifest;
  absl::Status status = Parse((*bytes)[0], "manifest", &manifest);
  if (!status.ok()) return status;
  std::map<std::pair<std::string, uint64_t>, const Page*> by_place;
  for (const Page& page : known.pages) by_place[{page.ref.pack(), page.ref.offset()}] = &page;
  std::vector<v1::PackRef> missing;
  for (const v1::PackRef& ref : manifest.pages()) {
    auto found = by_place.find({ref.pack(), ref.offset()});
    const bool is_known = found != by_place.end();
    tree->pages.push_back({ref, is_known ? found->second->content : nullptr});
    if (!is_known) missing.push_back(ref);
  }
  bytes = ReadPacks(client_, missing);
  if (!bytes.ok()) return bytes.status();
  auto next = bytes->begin();
  for (Page& page : tree->pages) {
    if (page.content) continue;
    auto content = std::make_shared<v1::ManifestPage>();
    status = Parse(*next++, "manifest's page", content.get());
    if (!status.ok()) return status;
    page.content = std::move(content);
  }
  return absl::OkStatus();
}

absl::Status EtcdStore::ReadItems(const Tree& known, Tree* tree) {
  struct Missing {
    Item* item;
    const Item* before;  // has part of the content; may be null
    int known_steps;
  };
  std::vector<Missing> missing;
  std::vector<v1::PackRef> refs;
  for (const Page& page : tree->pages) {
    for (const v1::ManifestEntry& entry : page.content->entries()) {
      const DocumentKey key = KeyOf(entry);
      Item& item = tree->items[key];
      item.entry = entry;
      if (IsDeleted(entry)) continue;
      auto found = known.items.find(key);
      const Item* before =
          found != known.items.end() && found->second.document ? &found->second : nullptr;
      if (before && SamePlace(before->entry.document(), entry.document())) {
        item.document = before->document;
        item.content_version = before->content_version;
        continue;
      }
      const int steps = before ? KnownSteps(entry, before->entry) : 0;
      missing.push_back({&item, before, steps});
      refs.push_back(entry.document());
      refs.insert(refs.end(), entry.content().begin() + steps, entry.content().end());
    }
  }
  absl::StatusOr<std::vector<std::string>> bytes = ReadPacks(client_, refs);
  if (!bytes.ok()) return bytes.status();
  auto next = bytes->begin();
  for (const Missing& one : missing) {
    const std::string name = store::Name(KeyOf(one.item->entry));
    auto document = std::make_shared<v1::Document>();
    absl::Status status = Parse(*next++, name, document.get());
    if (!status.ok()) return status;
    one.item->content_version = document->ip_set().packed().version();
    if (one.item->entry.content_size() > 0) {
      net::PackedCidrs content;
      if (one.known_steps > 0) content = ContentOf(*one.before->document);
      for (int i = one.known_steps; i < one.item->entry.content_size(); ++i) {
        v1::SetDelta delta;
        status = Parse(*next++, name, &delta);
        if (!status.ok()) return status;
        absl::StatusOr<net::PackedCidrs> after =
            net::ApplyDelta(content, FromProto(std::move(delta)));
        if (!after.ok()) return Unreadable(name);
        content = *std::move(after);
      }
      if (net::VersionOf(content) != one.item->content_version) return Unreadable(name);
      v1::PackedCidrs* packed = document->mutable_ip_set()->mutable_packed();
      packed->Clear();
      packed->set_v4(std::move(content.v4));
      packed->set_v6(std::move(content.v6));
    }
    one.item->document = std::move(document);
  }
  return absl::OkStatus();
}

absl::StatusOr<EtcdStore::Tree> EtcdStore::ReadTree(const v1::RevisionRecord& record,
                                                    const Tree& known) {
  Tree tree;
  tree.record = record;
  if (absl::Status status = ReadPages(known, &tree); !status.ok()) return status;
  if (absl::Status status = ReadItems(known, &tree); !status.ok()) return status;
  return tree;
}

std::shared_ptr<const EtcdStore::Tree> EtcdStore::Known() const {
  std::lock_guard lock(tree_mutex_);
  return tree_;
}

absl::StatusOr<EtcdStore::Head> EtcdStore::Sync() {
  absl::StatusOr<Head> head = ReadHead();
  if (!head.ok()) return head.status();
  std::shared_ptr<const Tree> known = Known();
  const uint64_t revision = known->record.revision();
  if (head->revision == revision) return head;
  if (head->revision < revision) {
    return absl::DataLossError(
        absl::StrCat("etcd went back from revision ", revision, " to ", head->revision,
                     " (emptied, or restored from an old backup?): that is not served; restart "
                     "whence-control if it is meant so"));
  }
  absl::StatusOr<v1::RevisionRecord> record = ReadRecord(head->revision);
  if (!record.ok()) return record.status();
  absl::StatusOr<Tree> tree = ReadTree(*record, *known);
  if (!tree.ok()) return tree.status();
  auto made = std::make_shared<const Tree>(*std::move(tree));
  std::lock_guard lock(tree_mutex_);
  tree_ = std::move(made);
  return head;
}

absl::StatusOr<uint64_t> EtcdStore::LatestRevision() {
  absl::StatusOr<Head> head = ReadHead();
  if (!head.ok()) return head.status();
  return head->revision;
}

namespace {

template <typename Items>
store::Contents ContentsOf(uint64_t revision, const Items& items) {
  store::Contents contents{revision, {}};
  for (const auto& [key, item] : items) {
    if (!item.document) continue;
    v1::StoredDocument& stored = contents.documents.emplace_back();
    *stored.mutable_document() = *item.document;
    stored.set_revision(item.entry.revision());
    stored.set_time_us(item.entry.time_us());
    stored.set_author(item.entry.author());
    stored.set_author_verified(item.entry.author_verified());
  }
  return contents;
}

}  // namespace

absl::StatusOr<store::Contents> EtcdStore::Load() {
  std::lock_guard lock(mutex_);
  absl::StatusOr<Head> head = Sync();
  if (!head.ok()) return head.status();
  return ContentsOf(head->revision, Known()->items);
}

absl::StatusOr<store::Contents> EtcdStore::LoadAt(uint64_t revision) {
  if (revision == 0) return store::Contents{};
  absl::StatusOr<v1::RevisionRecord> record = ReadRecord(revision);
  if (!record.ok()) return record.status();
  absl::StatusOr<Tree> tree = ReadTree(*record, *Known());
  if (!tree.ok()) return tree.status();
  return ContentsOf(revision, tree->items);
}

// ---- Commit -------------------------------------------------------------------------------------

absl::Status EtcdStore::AddDocument(const Mutation& mutation, const Item* current, Draft* draft,
                                    bool* same) const {
  v1::ManifestEntry entry;
  entry.set_kind(mutation.key.kind);
  entry.set_namespace_(mutation.key.namespace_name);
  entry.set_name(mutation.key.name);
  Item item;
  if (mutation.document) {
    v1::Document document = *mutation.document;
    std::optional<net::PackedCidrs> content = store::TakeOutContent(&document);
    const std::string bytes = store::Serialize(document);
    if (current && current->entry.document().size() == bytes.size() &&
        current->entry.document().digest() == DigestOf(bytes)) {
      *same = true;
      return absl::OkStatus();
    }
    item.document = std::make_shared<const v1::Document>(*mutation.document);
    *entry.mutable_document() = draft->pack.Add(bytes);
    if (content) {
      item.content_version = document.ip_set().packed().version();
      const bool has_base = current && current->entry.content_size() > 0;
      if (has_base) *entry.mutable_content() = current->entry.content();
      if (!has_base || current->content_version != item.content_version) {
        v1::SetDelta step;
        if (has_base && entry.content_size() <= store::kMaxContentSteps) {
          step = ToProto(net::Difference(ContentOf(*current->document), *content));
        }
        uint64_t chain = step.ByteSizeLong();
        for (int i = 1; i < entry.content_size(); ++i) chain += entry.content(i).size();
        // Half of a whole one, over the whole chain: so differences never take more than contents.
        if (!has_base || entry.content_size() > store::kMaxContentSteps ||
            chain * 2 >= content->bytes()) {
          entry.clear_content();
          step = ToProto({*content, {}});
        }
        *entry.add_content() = draft->pack.Add(step.SerializeAsString());
      }
    }
  }
  item.entry = std::move(entry);
  draft->items[mutation.key] = std::move(item);
  return absl::OkStatus();
}

void EtcdStore::AddPages(Draft* draft) const {
  std::map<std::string, v1::PackRef> known;  // by digest
  std::shared_ptr<const Tree> tree = Known();
  for (const Page& page : tree->pages) known[page.ref.digest()] = page.ref;
  v1::Manifest manifest;
  auto page = std::make_shared<v1::ManifestPage>();
  const auto end_page = [&] {
    const std::string bytes = page->SerializeAsString();
    auto found = known.find(DigestOf(bytes));
    const v1::PackRef ref = found != known.end() ? found->second : draft->pack.Add(bytes);
    *manifest.add_pages() = ref;
    draft->pages.push_back({ref, std::move(page)});
    page = std::make_shared<v1::ManifestPage>();
  };
  for (const auto& [key, item] : draft->items) {
    *page->add_entries() = item.entry;
    if (page->entries_size() == kMaxPageEntries || EndsPage(item.entry)) end_page();
  }
  if (page->entries_size() > 0) end_page();
  *draft->record.mutable_manifest() = draft->pack.Add(manifest.SerializeAsString());
}

absl::StatusOr<EtcdStore::Draft> EtcdStore::MakeDraft(const Head& head,
                                                      const CommitRequest& request) const {
  const uint64_t revision = request.as_revision.value_or(head.revision + 1);
  if (revision <= head.revision) return store::NotRising(head.revision, revision);
  std::shared_ptr<const Tree> tree = Known();
  Draft draft(revision);
  draft.items = tree->items;
  std::map<DocumentKey, v1::Change> changes;
  for (const Mutation& mutation : request.mutations) {
    auto found = tree->items.find(mutation.key);
    const bool existed = found != tree->items.end() && found->second.document;
    if (!mutation.document && !existed) return store::NoSuchDocument(mutation.key);
    bool same = false;
    absl::Status status = AddDocument(mutation, existed ? &found->second : nullptr, &draft, &same);
    if (!status.ok()) return status;
    draft.result.changes.push_back(store::ChangeOf(
        mutation, existed, same, existed ? found->second.document->kind() : std::string()));
    if (same) continue;
    changes[mutation.key] = draft.result.changes.back();
    v1::ManifestEntry& entry = draft.items[mutation.key].entry;
    entry.set_revision(revision);
    entry.set_time_us(request.time.time_since_epoch().count());
    entry.set_author(request.author);
    entry.set_author_verified(request.author_verified);
  }
  if (changes.empty()) return draft;
  draft.result.revision = revision;
  AddPages(&draft);
  v1::RevisionDetails details;
  details.set_author(request.author);
  details.set_author_verified(request.author_verified);
  details.set_message(request.message);
  for (auto& [key, change] : changes) *details.add_changes() = std::move(change);
  draft.record.set_revision(revision);
  draft.record.set_previous(head.revision);
  draft.record.set_time_us(request.time.time_since_epoch().count());
  *draft.record.mutable_details() = draft.pack.Add(details.SerializeAsString());
  return draft;
}

absl::StatusOr<bool> EtcdStore::IsOurs(const Draft& draft) {
  absl::StatusOr<v1::RevisionRecord> record = ReadRecord(draft.record.revision());
  if (absl::IsNotFound(record.status())) return false;
  if (!record.ok()) return record.status();
  return record->manifest().pack() == draft.pack.id();
}

absl::StatusOr<bool> EtcdStore::Write(const Head& head, const Draft& draft) {
  v1::Head next;
  next.set_revision(draft.record.revision());
  next.set_format(kFormat);
  const std::string head_key = client_.Key("live/head");
  etcdserverpb::TxnRequest txn;
  RequireUnchanged(head_key, head.mod_revision, &txn);
  Put(RevisionKey(draft.record.revision()), draft.record.SerializeAsString(), &txn);
  Put(head_key, next.SerializeAsString(), &txn);
  if (draft.pack.is_small()) {
    draft.pack.PutInto(client_, &txn);
  } else {
    absl::Status ahead = draft.pack.WriteAhead(client_, clock_.Now());
    if (!ahead.ok()) {
      draft.pack.Drop(client_);
      return ahead;
    }
    draft.pack.Settle(client_, &txn);
  }
  absl::StatusOr<etcdserverpb::TxnResponse> response = client_.Txn(txn);
  if (response.ok() && response->succeeded()) return true;
  // The client may have asked twice, and the first time it was done. Without an answer to this
  // either, nobody here knows.
  absl::StatusOr<bool> ours = IsOurs(draft);
  if (ours.ok() && *ours) return true;
  if (response.ok() && ours.ok()) {
    draft.pack.Drop(client_);
    return false;
  }
  const absl::Status& why = response.ok() ? ours.status() : response.status();
  if (!absl::IsUnavailable(why)) return why;
  return absl::UnavailableError(absl::StrCat("it is not known whether revision ",
                                             draft.record.revision(),
                                             " was committed: look again. ", why.message()));
}

absl::StatusOr<CommitResult> EtcdStore::Commit(const CommitRequest& request) {
  std::lock_guard lock(mutex_);
  for (int tries = 0; tries < kMaxTries; ++tries) {
    absl::StatusOr<Head> head = Sync();
    if (!head.ok()) return head.status();
    if (request.expected_revision && *request.expected_revision != head->revision) {
      return store::AtAnotherRevision(head->revision, *request.expected_revision);
    }
    absl::StatusOr<Draft> draft = MakeDraft(*head, request);
    if (!draft.ok()) return draft.status();
    if (draft->result.revision == 0) return draft->result;
    absl::StatusOr<bool> written = Write(*head, *draft);
    if (!written.ok()) return written.status();
    if (!*written) continue;
    auto tree = std::make_shared<const Tree>(
        Tree{draft->record, std::move(draft->pages), std::move(draft->items)});
    std::lock_guard tree_lock(tree_mutex_);
    tree_ = std::move(tree);
    return draft->result;
  }
  return absl::AbortedError("others change the configuration all the time: retry");
}

// ---- Looking back -------------------------------------------------------------------------------

absl::StatusOr<std::vector<store::Revision>> EtcdStore::Describe(
    const std::vector<v1::RevisionRecord>& records) {
  std::vector<v1::PackRef> refs;
  for (const v1::RevisionRecord& record : records) refs.push_back(record.details());
  absl::StatusOr<std::vector<std::string>> bytes = ReadPacks(client_, refs);
  if (!bytes.ok()) return bytes.status();
  std::vector<store::Revision> revisions;
  for (size_t i = 0; i < records.size(); ++i) {
    v1::RevisionDetails details;
    absl::Status status =
        Parse((*bytes)[i], absl::StrCat("revision ", records[i].revision()), &details);
    if (!status.ok()) return status;
    revisions.push_back({.revision = records[i].revision(),
                         .time = WallTime(std::chrono::microseconds(records[i].time_us())),
                         .author = details.author(),
                         .author_verified = details.author_verified(),
                         .message = details.message(),
                         .changes = {details.changes().begin(), details.changes().end()}});
  }
  return revisions;
}

absl::StatusOr<std::vector<store::Revision>> EtcdStore::History(int limit, uint64_t before) {
  absl::StatusOr<Head> head = ReadHead();
  if (!head.ok()) return head.status();
  uint64_t end = before == 0 ? head->revision + 1 : std::min(before, head->revision + 1);
  std::vector<v1::RevisionRecord> records;
  // Numbers mostly follow each other, so the window mostly holds as many as are wanted.
  while (end > 1 && records.size() < static_cast<size_t>(std::max(limit, 0))) {
    const uint64_t wanted = static_cast<uint64_t>(limit) - records.size();
    const uint64_t begin = end > wanted ? end - wanted : 1;
    etcdserverpb::RangeRequest request;
    request.set_key(RevisionKey(begin));
    request.set_range_end(RevisionKey(end));
    absl::StatusOr<etcdserverpb::RangeResponse> found = client_.Range(request);
    if (!found.ok()) return found.status();
    for (auto kv = found->kvs().rbegin(); kv != found->kvs().rend(); ++kv) {
      absl::Status status = Parse(kv->value(), kv->key(), &records.emplace_back());
      if (!status.ok()) return status;
    }
    // An empty stretch may be long: the next one is what the record before says.
    end = begin;
    if (found->kvs().empty() && !records.empty()) {
      end = std::min(end, records.back().previous() + 1);
    }
  }
  return Describe(records);
}

absl::StatusOr<std::optional<store::Revision>> EtcdStore::LastChange(const DocumentKey& key) {
  uint64_t revision = 0;
  {
    std::lock_guard lock(mutex_);
    if (absl::StatusOr<Head> head = Sync(); !head.ok()) return head.status();
    std::shared_ptr<const Tree> tree = Known();
    auto found = tree->items.find(key);
    if (found != tree->items.end()) revision = found->second.entry.revision();
  }
  if (revision == 0) return std::nullopt;
  absl::StatusOr<v1::RevisionRecord> record = ReadRecord(revision);
  if (!record.ok()) return record.status();
  absl::StatusOr<std::vector<store::Revision>> described = Describe({*record});
  if (!described.ok()) return described.status();
  return std::move(described->front());
}

absl::StatusOr<std::vector<store::Difference>> EtcdStore::Differences(uint64_t revision) {
  absl::StatusOr<v1::RevisionRecord> record = ReadRecord(revision);
  if (!record.ok()) return record.status();
  Tree before;
  if (record->previous() != 0) {
    absl::StatusOr<v1::RevisionRecord> previous = ReadRecord(record->previous());
    if (!previous.ok()) return previous.status();
    absl::StatusOr<Tree> tree = ReadTree(*previous, *Known());
    if (!tree.ok()) return tree.status();
    before = *std::move(tree);
  }
  absl::StatusOr<Tree> after = ReadTree(*record, before);
  if (!after.ok()) return after.status();
  std::vector<store::Difference> found;
  for (const auto& [key, item] : after->items) {
    if (item.entry.revision() != revision) continue;
    store::Difference& difference = found.emplace_back(store::Difference{key, {}, {}});
    auto old = before.items.find(key);
    if (old != before.items.end() && old->second.document) {
      difference.before = *old->second.document;
    }
    if (item.document) difference.after = *item.document;
  }
  return found;
}

}  // namespace whence::etcd
