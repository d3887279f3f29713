#include "controlplane/store/database.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"

namespace whence::store {
namespace {

// What a caller can do about it decides the code: wait, free space, mend the file, mend the call.
absl::StatusCode CodeOf(int result) {
  switch (result & 0xff) {
    case SQLITE_FULL:  // nothing else: the access log gives up its oldest records for this
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_NOMEM:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_CONSTRAINT:
      return absl::StatusCode::kFailedPrecondition;
    case SQLITE_TOOBIG:
      return absl::StatusCode::kInvalidArgument;
    case SQLITE_INTERRUPT:
      return absl::StatusCode::kCancelled;
    default:
      return absl::StatusCode::kInternal;
  }
}

// The name people find in SQLite's documentation; the number for the rest.
std::string NameOf(int result) {
  switch (result & 0xff) {
    case SQLITE_FULL:
      return "SQLITE_FULL";
    case SQLITE_BUSY:
      return "SQLITE_BUSY";
    case SQLITE_IOERR:
      return absl::StrCat("SQLITE_IOERR ", result >> 8);
    case SQLITE_CANTOPEN:
      return "SQLITE_CANTOPEN";
    case SQLITE_CORRUPT:
      return "SQLITE_CORRUPT";
    case SQLITE_NOTADB:
      return "SQLITE_NOTADB";
    case SQLITE_READONLY:
      return "SQLITE_READONLY";
    default:
      return absl::StrCat("SQLite error ", result);
  }
}

}  // namespace

// ---- Statement ----------------------------------------------------------------------------------

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      what_(other.what_),
      bind_error_(other.bind_error_) {}

Statement& Statement::operator=(Statement&& other) noexcept {
  if (this != &other) {
    sqlite3_finalize(statement_);
    database_ = other.database_;
    statement_ = std::exchange(other.statement_, nullptr);
    what_ = other.what_;
    bind_error_ = other.bind_error_;
  }
  return *this;
}

Statement::~Statement() { sqlite3_finalize(statement_); }

void Statement::Bound(int result) {
  if (result != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = result;
}

Statement& Statement::Bind(int index, int64_t value) {
  Bound(sqlite3_bind_int64(statement_, index, value));
  return *this;
}

Statement& Statement::Bind(int index, std::string_view text) {
  // A null pointer would bind NULL, which an empty text is not.
  Bound(sqlite3_bind_text64(statement_, index, text.data() ? text.data() : "", text.size(),
                            SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::Bind(int index, Blob blob) {
  Bound(sqlite3_bind_blob64(statement_, index, blob.bytes.data() ? blob.bytes.data() : "",
                            blob.bytes.size(), SQLITE_STATIC));
  return *this;
}

Statement& Statement::Bind(int index, std::nullptr_t) {
  Bound(sqlite3_bind_null(statement_, index));
  return *this;
}

absl::StatusOr<bool> Statement::Step() {
  int result = bind_error_ != SQLITE_OK ? bind_error_ : sqlite3_step(statement_);
  if (result == SQLITE_ROW) return true;
  // The message belongs to the connection and must be read before the reset replaces it.
  absl::Status status =
      result == SQLITE_DONE ? absl::OkStatus() : database_->Failure(result, what_);
  Reset();
  if (!status.ok()) return status;
  return false;
}

absl::Status Statement::Finish() {
  while (true) {
    absl::StatusOr<bool> row = Step();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
  }
}

void Statement::Reset() {
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  bind_error_ = SQLITE_OK;
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::Text(int column) const {
  // column_blob leaves a blob as it is; column_text would append a terminator and re-encode.
  const void* data = sqlite3_column_blob(statement_, column);
  int size = sqlite3_column_bytes(statement_, column);
  return data ? std::string_view(static_cast<const char*>(data), static_cast<size_t>(size))
              : std::string_view();
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

bool Statement::IsInt(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_INTEGER;
}

bool Statement::IsBlob(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_BLOB;
}

// ---- Database -----------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                         const DatabaseOptions& options) {
  int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* handle = nullptr;
  int result = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
  if (handle == nullptr) return absl::ResourceExhaustedError(absl::StrCat(path, ": out of memory"));
  std::unique_ptr<Database> database(new Database(path, handle));
  if (result != SQLITE_OK) return database->Failure(result, "open the database");
  if (absl::Status status = database->Configure(options); !status.ok()) return status;
  return database;
}

absl::Status Database::Configure(const DatabaseOptions& options) {
  sqlite3_busy_timeout(handle_, options.busy_timeout_ms);
  // A schema in the file cannot call functions with side effects, and "typo" in double quotes is an
  // error instead of a string.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  // The first read is where a file that is no database shows itself.
  absl::StatusOr<int64_t> tables = QueryInt("select count(*) from sqlite_schema", "read the file");
  if (!tables.ok()) return tables.status();
  absl::Status status =
      Execute(ComposedSql("pragma cache_size = -", static_cast<uint64_t>(options.cache_kib)),
              "set the cache size");
  if (!status.ok() || options.read_only) return status;
  status = Execute(ComposedSql("pragma page_size = ", static_cast<uint64_t>(options.page_bytes)),
                   "set the page size");
  if (!status.ok()) return status;
  status = Execute("pragma journal_mode = wal", "switch to write-ahead logging");
  if (!status.ok()) return status;
  // One large transaction would otherwise leave a log of its size behind for ever.
  status = Execute("pragma journal_size_limit = 16777216", "bound the write-ahead log");
  if (!status.ok()) return status;
  return options.synchronous == DatabaseOptions::Synchronous::kFull
             ? Execute("pragma synchronous = full", "set the durability")
             : Execute("pragma synchronous = normal", "set the durability");
}

Database::~Database() { sqlite3_close_v2(handle_); }

absl::Status Database::Failure(int result, std::string_view what) const {
  return absl::Status(CodeOf(result),
                      absl::StrCat(path_, ": cannot ", ToAbsl(what), ": ", sqlite3_errmsg(handle_),
                                   " (", NameOf(result), ")"));
}

absl::StatusOr<Statement> Database::PrepareText(std::string_view sql, std::string_view what) {
  sqlite3_stmt* statement = nullptr;
  int result = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                  SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) return Failure(result, what);
  return Statement(this, statement, what);
}

absl::StatusOr<Statement> Database::Prepare(Sql sql, Sql what) {
  return PrepareText(sql.text(), what.text());
}

absl::StatusOr<Statement> Database::Prepare(const ComposedSql& sql, Sql what) {
  return PrepareText(sql.text(), what.text());
}

absl::Status Database::ExecuteText(const std::string& sql, std::string_view what) {
  int result = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? absl::OkStatus() : Failure(result, what);
}

absl::Status Database::Execute(Sql sql, Sql what) {
  return ExecuteText(std::string(sql.text()), what.text());
}

absl::Status Database::Execute(const ComposedSql& sql, Sql what) {
  return ExecuteText(std::string(sql.text()), what.text());
}

absl::StatusOr<int64_t> Database::QueryInt(Sql sql, Sql what) {
  absl::StatusOr<Statement> statement = Prepare(sql, what);
  if (!statement.ok()) return statement.status();
  absl::StatusOr<bool> row = statement->Step();
  if (!row.ok()) return row.status();
  if (!*row) return absl::NotFoundError(absl::StrCat(path_, ": ", ToAbsl(what.text()), ": no row"));
  return statement->Int(0);
}

absl::Status Database::Checkpoint(bool truncate) {
  int result = sqlite3_wal_checkpoint_v2(
      handle_, nullptr, truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE, nullptr,
      nullptr);
  if (result == SQLITE_OK || (result & 0xff) == SQLITE_BUSY) return absl::OkStatus();
  return Failure(result, "checkpoint the write-ahead log");
}

void Database::Interrupt() { sqlite3_interrupt(handle_); }

void Database::SetDeadline(std::chrono::steady_clock::time_point deadline) {
  deadline_ = deadline;
  constexpr int kStepsBetweenLooks = 10000;  // a fraction of a millisecond
  sqlite3_progress_handler(
      handle_, kStepsBetweenLooks,
      [](void* database) {
        return std::chrono::steady_clock::now() >= static_cast<Database*>(database)->deadline_ ? 1
                                                                                               : 0;
      },
      this);
}

absl::Status Database::CheckIntegrity(bool quick) {
  absl::StatusOr<Statement> check = quick ? Prepare("pragma quick_check(1)", "check the file")
                                          : Prepare("pragma integrity_check(1)", "check the file");
  if (!check.ok()) return check.status();
  absl::StatusOr<bool> row = check->Step();
  if (!row.ok()) return row.status();
  if (*row && check->Text(0) == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(path_, ": damaged: ", ToAbsl(check->Text(0))));
}

// ---- Transaction, migration ---------------------------------------------------------------------

absl::StatusOr<Transaction> Transaction::Begin(Database& database) {
  absl::Status status = database.Execute("begin immediate", "begin a transaction");
  if (!status.ok()) return status;
  return Transaction(&database);
}

Transaction::~Transaction() {
  // After SQLITE_FULL or SQLITE_IOERR SQLite has rolled back by itself; that this then fails is
  // expected and says nothing new.
  if (database_) (void)database_->Execute("rollback", "roll back");
}

absl::Status Transaction::Commit() {
  Database* database = std::exchange(database_, nullptr);
  absl::Status status = database->Execute("commit", "commit");
  if (!status.ok()) (void)database->Execute("rollback", "roll back");
  return status;
}

absl::Status Migrate(Database& database, uint32_t application_id, std::span<const Sql> steps) {
  absl::StatusOr<Transaction> transaction = Transaction::Begin(database);
  if (!transaction.ok()) return transaction.status();
  absl::StatusOr<int64_t> version = database.QueryInt("pragma user_version", "read the version");
  absl::StatusOr<int64_t> owner =
      database.QueryInt("pragma application_id", "read the application id");
  absl::StatusOr<int64_t> tables =
      database.QueryInt("select count(*) from sqlite_schema", "read the schema");
  for (const auto& value : {version, owner, tables}) {
    if (!value.ok()) return value.status();
  }
  if (*tables > 0 && static_cast<uint32_t>(*owner) != application_id) {
    return absl::FailedPreconditionError(
        absl::StrCat(database.path(), ": this is a database of another program"));
  }
  auto newest = static_cast<int64_t>(steps.size());
  if (*version < 0 || *version > newest) {
    return absl::FailedPreconditionError(
        absl::StrCat(database.path(), ": schema version ", *version,
                     " is newer than this program knows (", newest, "): run a newer Whence"));
  }
  for (int64_t step = *version; step < newest; ++step) {
    absl::Status status = database.Execute(steps[step], "migrate the schema");
    if (!status.ok()) return status;
  }
  if (*version == newest) return transaction->Commit();
  absl::Status status = database.Execute(
      ComposedSql("pragma user_version = ", static_cast<uint64_t>(newest)), "write the version");
  if (status.ok()) {
    status = database.Execute(ComposedSql("pragma application_id = ", application_id),
                              "write the application id");
  }
  return status.ok() ? transaction->Commit() : status;
}

}  // namespace whence::store
