// SQLite, owned and typed: the only way to the database files for both stores.
//
// Three rules are built into the types rather than asked of the reader:
//   * SQL is a string literal (`Sql` can only be made at compile time), or literals and numbers put
//     together (`ComposedSql`). Text from outside can only ever be a bound parameter.
//   * Every statement says what it is for, and every error carries that: `config.db: append a
//     revision: disk full (SQLITE_FULL)`.
//   * A transaction that is not committed is rolled back, whichever way the scope is left.
//
//   auto insert = db.Prepare("insert into t(a, b) values (?1, ?2)", "remember a thing");
//   absl::Status done = insert->Run(int64_t{7}, std::string_view("seven"));
//
// Thread-compatible: one thread at a time per Database and its statements (SQLite's own mutexes are
// off). Only `Interrupt` may be called from elsewhere.
#ifndef WHENCE_CONTROLPLANE_STORE_DATABASE_H_
#define WHENCE_CONTROLPLANE_STORE_DATABASE_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace whence::store {

class Database;

// A piece of SQL that is in the source text.
class Sql {
 public:
  consteval Sql(const char* literal) : text_(literal) {}  // NOLINT: implicit on purpose
  constexpr std::string_view text() const { return text_; }

 private:
  std::string_view text_;
};

// Literals and numbers in a row, for tables that are numbered: `ComposedSql("drop table seg_", 7)`.
class ComposedSql {
 public:
  explicit ComposedSql(Sql first) : text_(first.text()) {}
  ComposedSql(Sql first, uint64_t number) : text_(first.text()) { Append(number); }
  ComposedSql& Append(Sql more) {
    text_ += more.text();
    return *this;
  }
  ComposedSql& Append(uint64_t number) {
    text_ += std::to_string(number);
    return *this;
  }
  std::string_view text() const { return text_; }

 private:
  std::string text_;
};

// Bytes to bind as a blob; text binds as a std::string_view. Borrowed until the statement has run.
struct Blob {
  std::string_view bytes;
};

// A prepared statement. Move-only; must not outlive its Database.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&& other) noexcept;
  ~Statement();

  // Parameters from 1. A failed binding is remembered and returned by the next Step. Text and blobs
  // are borrowed: they must live until Reset or until the statement has finished.
  Statement& Bind(int index, int64_t value);
  Statement& Bind(int index, uint64_t value) { return Bind(index, static_cast<int64_t>(value)); }
  Statement& Bind(int index, int value) { return Bind(index, static_cast<int64_t>(value)); }
  Statement& Bind(int index, std::string_view text);
  Statement& Bind(int index, Blob blob);
  Statement& Bind(int index, std::nullptr_t);
  template <typename T>
  Statement& Bind(int index, const std::optional<T>& value) {
    return value ? Bind(index, *value) : Bind(index, nullptr);
  }
  template <typename... Args>
  Statement& BindAll(const Args&... args) {
    int index = 0;
    (Bind(++index, args), ...);
    return *this;
  }

  // True: a row is there. False: finished (and already reset). On error the statement is reset too.
  absl::StatusOr<bool> Step();
  // For statements that give no rows, or whose rows do not matter: binds, runs to the end.
  template <typename... Args>
  absl::Status Run(const Args&... args) {
    BindAll(args...);
    return Finish();
  }
  // Ends a statement whose rows were not all read. Bindings are cleared.
  void Reset();

  // Columns from 0, of the current row. Text and blobs are valid until the next Step or Reset.
  int64_t Int(int column) const;
  std::string_view Text(int column) const;  // of a blob too: exactly its bytes
  bool IsNull(int column) const;
  bool IsInt(int column) const;
  bool IsBlob(int column) const;

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* statement, std::string_view what)
      : database_(database), statement_(statement), what_(what) {}
  absl::Status Finish();
  void Bound(int result);

  Database* database_;
  sqlite3_stmt* statement_;
  std::string_view what_;  // a literal
  int bind_error_ = 0;
};

struct DatabaseOptions {
  bool read_only = false;
  // FULL keeps each commit over a power loss; NORMAL may lose the last ones, never corrupts.
  enum class Synchronous { kFull, kNormal } synchronous = Synchronous::kFull;
  int busy_timeout_ms = 5000;  // Outlasts a checkpoint or a person's query in the sqlite3 shell.
  int cache_kib = 2048;
  int page_bytes = 4096;  // of a new file
};

// One connection to one file. The address is stable (statements refer to it), hence unique_ptr.
class Database {
 public:
  // Opens or (unless read-only) creates; WAL. Fails if the file is there and is no database:
  // nothing is ever written over it.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        const DatabaseOptions& options = {});
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  // `what` completes "cannot …" for people and must be a literal as well.
  absl::StatusOr<Statement> Prepare(Sql sql, Sql what);
  absl::StatusOr<Statement> Prepare(const ComposedSql& sql, Sql what);
  // One or several statements without parameters and without results.
  absl::Status Execute(Sql sql, Sql what);
  absl::Status Execute(const ComposedSql& sql, Sql what);
  // First column of the first row of a statement without parameters.
  absl::StatusOr<int64_t> QueryInt(Sql sql, Sql what);

  // Moves the WAL into the file. A reader may keep a part of it from moving: that is no error.
  absl::Status Checkpoint(bool truncate);
  // Makes a running statement end with kCancelled. Safe from any thread while *this lives.
  void Interrupt();
  // From now on statements end with kCancelled when this time has come.
  void SetDeadline(std::chrono::steady_clock::time_point deadline);

  // SQLite's own check; OK or kDataLoss with the first finding. `quick` leaves out indexes.
  absl::Status CheckIntegrity(bool quick);

  const std::string& path() const { return path_; }

 private:
  friend class Statement;
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}
  absl::Status Configure(const DatabaseOptions& options);
  absl::StatusOr<Statement> PrepareText(std::string_view sql, std::string_view what);
  absl::Status ExecuteText(const std::string& sql, std::string_view what);
  // The connection's last error as a Status.
  absl::Status Failure(int result, std::string_view what) const;

  std::string path_;
  sqlite3* handle_;
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::time_point::max();
};

// `begin immediate` … commit, or rollback when it goes out of scope. Immediate, so that a writer
// learns that it must wait before it has read anything that could be out of date.
class Transaction {
 public:
  static absl::StatusOr<Transaction> Begin(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // On error nothing was committed, and the transaction is over.
  absl::Status Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;  // null: over
};

// Brings the schema to version `steps.size()`: step i leads from version i to i + 1 (SQLite's
// user_version). All missing steps commit together. Refuses a file of a newer version, and a
// database that some other program made (`application_id`, any constant of the caller's).
absl::Status Migrate(Database& database, uint32_t application_id, std::span<const Sql> steps);

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_DATABASE_H_
