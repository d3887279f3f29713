#include "controlplane/ctl/store_command.h"

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "controlplane/ctl/session.h"
#include "controlplane/ctl/text.h"
#include "controlplane/data_directory.h"
#include "controlplane/etcd/etcd_store.h"
#include "controlplane/store/copy.h"
#include "controlplane/store/sqlite_store.h"

namespace whence::ctl {
namespace {

// A store, and what has to outlive it.
struct Opened {
  std::optional<control::DataDirectory> directory;
  std::unique_ptr<etcd::Client> client;
  std::unique_ptr<store::Store> store;
};

absl::Status OpenSqlite(const std::string& path, bool must_exist, Opened* opened) {
  std::error_code error;
  if (must_exist && !std::filesystem::exists(path + "/config.db", error)) {
    return absl::NotFoundError(
        absl::StrCat(path, " holds no config.db: give the data directory of a whence-control"));
  }
  absl::StatusOr<control::DataDirectory> directory = control::DataDirectory::Claim(path);
  if (!directory.ok()) return directory.status();
  opened->directory.emplace(*std::move(directory));
  auto store = store::SqliteStore::Open(opened->directory->File("config.db"));
  if (!store.ok()) return store.status();
  opened->store = *std::move(store);
  return absl::OkStatus();
}

absl::Status OpenEtcd(const std::string& endpoints, const StoreCopyOptions& options,
                      const Clock& clock, Opened* opened) {
  auto parsed = etcd::ParseEndpoints(endpoints);
  if (!parsed.ok()) return parsed.status();
  auto prefix = etcd::ParsePrefix(options.prefix);
  if (!prefix.ok()) return prefix.status();
  auto client =
      etcd::Client::Make({*parsed, *prefix, options.ca, options.certificate, options.key});
  if (!client.ok()) return client.status();
  opened->client = *std::move(client);
  auto store = etcd::EtcdStore::Open(*opened->client, clock);
  if (!store.ok()) return store.status();
  opened->store = *std::move(store);
  return absl::OkStatus();
}

absl::StatusOr<Opened> Open(const char* flag, absl::string_view text, bool must_exist,
                            const StoreCopyOptions& options, const Clock& clock) {
  Opened opened;
  const absl::Status status =
      absl::ConsumePrefix(&text, "sqlite:")
          ? OpenSqlite(std::string(text), must_exist, &opened)
          : OpenEtcd(std::string(absl::StripPrefix(text, "etcd:")), options, clock, &opened);
  if (!status.ok()) {
    return absl::Status(status.code(), absl::StrCat(flag, ": ", status.message()));
  }
  return opened;
}

absl::StatusOr<store::CopyResult> CopyBetween(const StoreCopyOptions& options) {
  const SystemClock clock;
  absl::StatusOr<Opened> from = Open("--from", options.from, /*must_exist=*/true, options, clock);
  if (!from.ok()) return from.status();
  absl::StatusOr<Opened> to = Open("--to", options.to, /*must_exist=*/false, options, clock);
  if (!to.ok()) return to.status();
  return store::Copy(*from->store, *to->store, nullptr);
}

// What is wrong with an end as it is written; empty: nothing.
std::string CheckEnd(const char* flag, absl::string_view text) {
  const std::string wrong = absl::StrCat(flag, " \"", text, "\": ");
  if (absl::ConsumePrefix(&text, "sqlite:") && !text.empty()) return "";
  if (!absl::ConsumePrefix(&text, "etcd:")) {
    return wrong + "give sqlite:DATA-DIR or etcd:http://HOST:PORT,…";
  }
  const auto endpoints = etcd::ParseEndpoints(ToStd(text));
  return endpoints.ok() ? "" : absl::StrCat(wrong, endpoints.status().message());
}

bool AreOne(const std::string& from, const std::string& to) {
  absl::string_view one = from, other = to;
  if (!absl::ConsumePrefix(&one, "sqlite:") || !absl::ConsumePrefix(&other, "sqlite:")) {
    return from == to;
  }
  std::error_code error;
  const auto path = [&](absl::string_view text) {
    return std::filesystem::weakly_canonical(
        std::filesystem::absolute(std::string(text), error) / "", error);
  };
  return path(one) == path(other);
}

}  // namespace

void DeclareStore(CLI::App& app, StoreCopyOptions* options) {
  CLI::App* stores = app.add_subcommand("store", "Where a control plane keeps its configuration");
  stores->require_subcommand(1);
  CLI::App* copy = stores->add_subcommand(
      "copy",
      "Copy a configuration with its whole history to an empty store. No whence-control may be at "
      "either meanwhile; a copy that was broken off goes on when it is run again");
  copy->add_option("--from", options->from, "sqlite:DATA-DIR or etcd:http[s]://HOST:PORT,…")
      ->required();
  copy->add_option("--to", options->to, "The same")->required();
  copy->add_option("--etcd-prefix", options->prefix, "Of every key")->capture_default_str();
  copy->add_option("--etcd-ca", options->ca, "Whose certificates https members have, PEM");
  copy->add_option("--etcd-cert", options->certificate, "Certificate to show them, PEM");
  copy->add_option("--etcd-key", options->key, "Its private key, PEM");
  copy->add_option_function<std::string>(
          "-o,--output", [options](const std::string& how) { options->is_json = how == "json"; },
          "How to print")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
}

std::string CheckStore(const StoreCopyOptions& options) {
  std::string error = CheckEnd("--from", options.from);
  if (error.empty()) error = CheckEnd("--to", options.to);
  if (error.empty() && AreOne(options.from, options.to)) {
    error = "--from and --to name one store: give another to copy it to";
  }
  return error;
}

int CopyStore(const StoreCopyOptions& options, std::ostream& out, std::ostream& err) {
  absl::StatusOr<store::CopyResult> done = CopyBetween(options);
  if (!done.ok()) {
    err << "whencectl: " << Escape(std::string(done.status().message())) << "\n";
    return kFailed;
  }
  if (options.is_json) {
    out << nlohmann::json({{"copied", done->copied}, {"revision", done->revision}}).dump(2) << "\n";
  } else {
    out << done->copied << " revisions copied; both are at revision " << done->revision << "\n";
  }
  return kGood;
}

}  // namespace whence::ctl
