#include "controlplane/store/sqlite_store.h"

#include <optional>

#include "controlplane/store/sqlite_rows.h"
#include "controlplane/store/values.h"

namespace whence::store {
namespace {

constexpr uint32_t kApplicationId = 0x77686e63;  // "whnc", shown by file(1)

const Sql kSchema[] = {R"sql(
create table revision (
  revision integer primary key,
  time_us integer not null,
  author text not null,
  message text not null);
create table change (
  revision integer not null references revision(revision),
  kind text not null,
  namespace text not null,
  name text not null,
  action text not null,          -- created, updated, deleted
  old_revision integer,          -- that wrote the value replaced; null: there was none
  document blob,                 -- whence.v1.Document; null: deleted
  unique (kind, namespace, name, revision));
create index change_by_revision on change(revision);
create table document (
  kind text not null,
  namespace text not null,
  name text not null,
  revision integer not null,     -- its value is in `change`
  primary key (kind, namespace, name)) without rowid;
)sql",
                       // 2: who is known for sure, and the kind as it was written.
                       R"sql(
alter table revision add column author_verified integer not null default 0;
alter table change add column written_kind text not null default '';
)sql",
                       // 3: large sets.
                       kIpSetContentSchema};

std::string_view ActionName(v1::Change::Action action) {
  switch (action) {
    case v1::Change::CREATED:
      return "created";
    case v1::Change::UPDATED:
      return "updated";
    default:
      return "deleted";
  }
}

// Collects the first error of several Prepare calls.
class Preparer {
 public:
  explicit Preparer(Database& database) : database_(database) {}
  std::optional<Statement> operator()(Sql sql, Sql what) {
    absl::StatusOr<Statement> statement = database_.Prepare(sql, what);
    if (statement.ok()) return std::move(*statement);
    if (status.ok()) status = statement.status();
    return std::nullopt;
  }
  absl::Status status;

 private:
  Database& database_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               int64_t reserve_bytes) {
  DiskReserve(ReserveOf(path), reserve_bytes).ReleaseToOpen();
  absl::StatusOr<std::unique_ptr<Database>> database = Database::Open(path);
  if (!database.ok()) return database.status();
  // The file is small, and serving half of a policy is worse than not starting.
  if (absl::Status status = (*database)->CheckIntegrity(/*quick=*/false); !status.ok()) {
    return status;
  }
  if (absl::Status status = Migrate(**database, kApplicationId, kSchema); !status.ok()) {
    return status;
  }
  absl::StatusOr<Statements> statements = PrepareAll(**database);
  if (!statements.ok()) return statements.status();
  absl::StatusOr<IpSetContents> contents = IpSetContents::Prepare(**database);
  if (!contents.ok()) return contents.status();
  std::unique_ptr<SqliteStore> store(new SqliteStore(std::move(*database), std::move(*statements),
                                                     std::move(*contents), reserve_bytes));
  (void)store->reserve_.TakeWhatThereIs();  // Without one, a full disk refuses writes: no worse.
  return store;
}

absl::StatusOr<SqliteStore::Statements> SqliteStore::PrepareAll(Database& database) {
  Preparer prepare(database);
  auto last = prepare("select coalesce(max(revision), 0) from revision", "read the revision");
  auto list = prepare(
      "select d.kind, d.namespace, d.name, d.revision, c.document, r.time_us, r.author, "
      "r.author_verified from document d join change c using (kind, namespace, name, revision) "
      "join revision r using (revision) order by d.kind, d.namespace, d.name",
      "list the documents");
  auto find = prepare(
      "select d.revision, c.document from document d "
      "join change c using (kind, namespace, name, revision) "
      "where d.kind = ?1 and d.namespace = ?2 and d.name = ?3",
      "find a document");
  auto revision = prepare(
      "insert into revision (revision, time_us, author, author_verified, message) "
      "values (?1, ?2, ?3, ?4, ?5)",
      "write a revision");
  auto change = prepare(
      "insert into change (revision, kind, namespace, name, action, old_revision, document, "
      "written_kind) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
      "write a document");
  auto set =
      prepare("insert or replace into document values (?1, ?2, ?3, ?4)", "make a document current");
  auto remove = prepare("delete from document where kind = ?1 and namespace = ?2 and name = ?3",
                        "delete a document");
  // Of each document the newest value that is not newer than asked for.
  auto list_at = prepare(
      "select c.kind, c.namespace, c.name, c.revision, c.document, r.time_us, r.author, "
      "r.author_verified from (select kind, namespace, name, max(revision) as revision "
      "from change where revision <= ?1 group by kind, namespace, name) last "
      "join change c using (kind, namespace, name, revision) join revision r using (revision) "
      "where c.document is not null order by c.kind, c.namespace, c.name",
      "list the documents of a revision");
  auto history = prepare(
      "select revision, time_us, author, author_verified, message from revision "
      "where revision < ?2 order by revision desc limit ?1",
      "read the history");
  auto changes = prepare(
      "select kind, written_kind, namespace, name, action from change where revision = ?1 "
      "order by kind, namespace, name",
      "read the changes of a revision");
  auto last_change =
      prepare("select max(revision) from change where kind = ?1 and namespace = ?2 and name = ?3",
              "find the last change of a document");
  auto has = prepare("select 1 from revision where revision = ?1", "find a revision");
  auto differences = prepare(
      "select n.kind, n.namespace, n.name, o.document, n.document from change n "
      "left join change o on o.kind = n.kind and o.namespace = n.namespace and o.name = n.name "
      "and o.revision = n.old_revision where n.revision = ?1 "
      "order by n.kind, n.namespace, n.name",
      "read a difference");
  if (!prepare.status.ok()) return prepare.status;
  return Statements{std::move(*last),       std::move(*list),        std::move(*find),
                    std::move(*revision),   std::move(*change),      std::move(*set),
                    std::move(*remove),     std::move(*list_at),     std::move(*history),
                    std::move(*changes),    std::move(*last_change), std::move(*has),
                    std::move(*differences)};
}

absl::StatusOr<uint64_t> SqliteStore::LastRevision() {
  absl::StatusOr<bool> row = statements_.last_revision.Step();
  if (!row.ok()) return row.status();
  auto revision = static_cast<uint64_t>(statements_.last_revision.Int(0));
  statements_.last_revision.Reset();
  return revision;
}

absl::StatusOr<uint64_t> SqliteStore::LatestRevision() {
  std::lock_guard lock(mutex_);
  return LastRevision();
}

absl::StatusOr<Contents> SqliteStore::Load() {
  std::lock_guard lock(mutex_);
  // Both reads see the same state: nobody else writes this file (the data directory is locked), and
  // we hold the mutex.
  absl::StatusOr<uint64_t> revision = LastRevision();
  if (!revision.ok()) return revision.status();
  absl::StatusOr<std::vector<v1::StoredDocument>> documents = List(statements_.list);
  if (!documents.ok()) return documents.status();
  return Contents{*revision, *std::move(documents)};
}

absl::StatusOr<std::vector<v1::StoredDocument>> SqliteStore::List(Statement& list) {
  std::vector<v1::StoredDocument> documents;
  absl::StatusOr<bool> row = list.Step();
  for (; row.ok() && *row; row = list.Step()) {
    v1::StoredDocument& stored = documents.emplace_back();
    absl::Status parsed = ParseValue(list.Text(4), KeyAt(list, 0), stored.mutable_document());
    if (parsed.ok()) parsed = contents_.PutBack(stored.mutable_document());
    if (!parsed.ok()) {
      list.Reset();
      return parsed;
    }
    stored.set_revision(static_cast<uint64_t>(list.Int(3)));
    stored.set_time_us(list.Int(5));
    stored.set_author(std::string(list.Text(6)));
    stored.set_author_verified(list.Int(7) != 0);
  }
  if (!row.ok()) return row.status();
  return documents;
}

absl::StatusOr<SqliteStore::Current> SqliteStore::Find(const DocumentKey& key) {
  Statement& find = statements_.find;
  find.BindAll(std::string_view(key.kind), std::string_view(key.namespace_name),
               std::string_view(key.name));
  absl::StatusOr<bool> row = find.Step();
  if (!row.ok()) return row.status();
  Current current;
  if (!*row) return current;
  current.revision = static_cast<uint64_t>(find.Int(0));
  current.bytes = std::string(find.Text(1));
  find.Reset();
  v1::Document document;
  if (absl::Status parsed = ParseValue(current.bytes, key, &document); !parsed.ok()) return parsed;
  current.kind = document.kind();
  current.content_version = document.ip_set().packed().version();
  return current;
}

absl::Status SqliteStore::Write(const Mutation& mutation, const std::string& bytes,
                                const v1::Change& change, uint64_t revision,
                                uint64_t old_revision) {
  std::string_view kind = mutation.key.kind;
  std::string_view space = mutation.key.namespace_name;
  std::string_view name = mutation.key.name;
  std::optional<uint64_t> replaced;
  if (old_revision != 0) replaced = old_revision;
  std::optional<Blob> blob;
  if (mutation.document) blob = Blob{bytes};
  absl::Status status =
      statements_.insert_change.Run(revision, kind, space, name, ActionName(change.action()),
                                    replaced, blob, std::string_view(change.kind()));
  if (!status.ok()) return status;
  return mutation.document ? statements_.set_document.Run(kind, space, name, revision)
                           : statements_.delete_document.Run(kind, space, name);
}

absl::StatusOr<CommitResult> SqliteStore::Commit(const CommitRequest& request) {
  std::lock_guard lock(mutex_);
  absl::StatusOr<CommitResult> result = TryCommit(request);
  if (absl::IsResourceExhausted(result.status()) && reserve_.held_bytes() > 0) {
    reserve_.Release();
    (void)database_->Checkpoint(true);  // Where it fails, so does what follows.
    result = TryCommit(request);
  }
  // At once, or whoever filled the disk takes it.
  (void)reserve_.TakeWhatThereIs();
  return result;
}

absl::StatusOr<CommitResult> SqliteStore::TryCommit(const CommitRequest& request) {
  absl::StatusOr<Transaction> transaction = Transaction::Begin(*database_);
  if (!transaction.ok()) return transaction.status();
  absl::StatusOr<uint64_t> last = LastRevision();
  if (!last.ok()) return last.status();
  if (request.expected_revision && *request.expected_revision != *last) {
    return AtAnotherRevision(*last, *request.expected_revision);
  }
  CommitResult result;
  const uint64_t revision = request.as_revision.value_or(*last + 1);
  if (revision <= *last) return NotRising(*last, revision);
  bool begun = false;
  for (const Mutation& mutation : request.mutations) {
    absl::StatusOr<Current> current = Find(mutation.key);
    if (!current.ok()) return current.status();
    if (!mutation.document && current->revision == 0) {
      return NoSuchDocument(mutation.key);
    }
    std::optional<v1::Document> document = mutation.document;
    std::optional<net::PackedCidrs> content;
    if (document) content = TakeOutContent(&*document);
    std::string bytes = document ? Serialize(*document) : std::string();
    bool same = mutation.document && current->revision != 0 && bytes == current->bytes;
    result.changes.push_back(ChangeOf(mutation, current->revision != 0, same, current->kind));
    if (same) continue;
    if (!begun) {
      begun = true;
      absl::Status written = statements_.insert_revision.Run(
          revision, request.time.time_since_epoch().count(), std::string_view(request.author),
          int64_t{request.author_verified}, std::string_view(request.message));
      if (!written.ok()) return written;
    }
    absl::Status written =
        Write(mutation, bytes, result.changes.back(), revision, current->revision);
    if (written.ok() && content) {
      written =
          contents_.Keep(document->ip_set().packed().version(), *content, current->content_version);
    }
    if (!written.ok()) return written;
  }
  if (!begun) return result;
  if (absl::Status status = transaction->Commit(); !status.ok()) return status;
  result.revision = revision;
  return result;
}

}  // namespace whence::store
