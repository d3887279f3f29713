#include "controlplane/store/copy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/store/values.h"

namespace whence::store {
namespace {

constexpr int kPage = 500;

bool IsSame(const Revision& a, const Revision& b) {
  return a.revision == b.revision && a.time == b.time && a.author == b.author &&
         a.author_verified == b.author_verified && a.message == b.message &&
         a.changes.size() == b.changes.size();
}

// Those above `after`, oldest first, without their changes.
absl::StatusOr<std::vector<Revision>> RevisionsAfter(Store& store, uint64_t after) {
  std::vector<Revision> all;
  uint64_t before = 0;
  while (true) {
    absl::StatusOr<std::vector<Revision>> page = store.History(kPage, before);
    if (!page.ok()) return page.status();
    for (Revision& revision : *page) {
      if (revision.revision <= after) break;
      revision.changes.clear();
      all.push_back(std::move(revision));
    }
    if (page->empty() || page->back().revision <= after) break;
    before = page->back().revision;
  }
  std::reverse(all.begin(), all.end());
  return all;
}

absl::Status CheckBeginning(Store& from, Store& to, uint64_t copied) {
  if (copied == 0) return absl::OkStatus();
  absl::StatusOr<std::vector<Revision>> ours = to.History(1, 0);
  if (!ours.ok()) return ours.status();
  absl::StatusOr<std::vector<Revision>> theirs = from.History(1, copied + 1);
  if (!theirs.ok()) return theirs.status();
  if (!ours->empty() && !theirs->empty() && IsSame(ours->front(), theirs->front())) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the target holds a configuration of its own, at revision ", copied,
                   ": only an empty one is copied to"));
}

absl::Status CopyRevision(Store& from, Store& to, const Revision& revision, uint64_t last) {
  absl::StatusOr<std::vector<Difference>> differences = from.Differences(revision.revision);
  if (!differences.ok()) return differences.status();
  CommitRequest request;
  for (Difference& difference : *differences) {
    request.mutations.push_back({std::move(difference.key), std::move(difference.after)});
  }
  request.author = revision.author;
  request.author_verified = revision.author_verified;
  request.message = revision.message;
  request.time = revision.time;
  request.expected_revision = last;
  request.as_revision = revision.revision;
  absl::StatusOr<CommitResult> done = to.Commit(request);
  if (!done.ok()) return done.status();
  if (done->revision == revision.revision) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("revision ", revision.revision, " changes nothing"));
}

absl::Status Compare(Store& from, Store& to) {
  absl::StatusOr<Contents> a = from.Load();
  if (!a.ok()) return a.status();
  absl::StatusOr<Contents> b = to.Load();
  if (!b.ok()) return b.status();
  const bool is_same =
      a->revision == b->revision &&
      std::equal(a->documents.begin(), a->documents.end(), b->documents.begin(), b->documents.end(),
                 [](const v1::StoredDocument& x, const v1::StoredDocument& y) {
                   return x.revision() == y.revision() &&
                          Serialize(x.document()) == Serialize(y.document());
                 });
  return is_same ? absl::OkStatus()
                 : absl::DataLossError("the copy differs from what was copied; do not use it");
}

}  // namespace

absl::StatusOr<CopyResult> Copy(Store& from, Store& to,
                                const std::function<void(uint64_t, uint64_t)>& progress) {
  absl::StatusOr<uint64_t> last = to.LatestRevision();
  if (!last.ok()) return last.status();
  if (absl::Status status = CheckBeginning(from, to, *last); !status.ok()) return status;
  absl::StatusOr<std::vector<Revision>> revisions = RevisionsAfter(from, *last);
  if (!revisions.ok()) return revisions.status();
  CopyResult result{0, *last};
  for (const Revision& revision : *revisions) {
    absl::Status status = CopyRevision(from, to, revision, result.revision);
    if (!status.ok()) return status;
    result.revision = revision.revision;
    ++result.copied;
    if (progress) progress(result.copied, revisions->size());
  }
  if (absl::Status status = Compare(from, to); !status.ok()) return status;
  return result;
}

}  // namespace whence::store
