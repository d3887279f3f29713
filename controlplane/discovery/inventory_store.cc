#include "controlplane/discovery/inventory_store.h"

#include <cstdio>
#include <utility>

namespace whence::discovery {
namespace {

constexpr uint32_t kApplicationId = 0x5748494e;  // "WHIN"

absl::StatusOr<std::unique_ptr<store::Database>> OpenFile(const std::string& path) {
  absl::StatusOr<std::unique_ptr<store::Database>> database = store::Database::Open(
      path, {.synchronous = store::DatabaseOptions::Synchronous::kNormal, .cache_kib = 256});
  if (!database.ok()) return database;
  constexpr store::Sql kSteps[] = {
      "create table agents(id text primary key, node blob not null) without rowid",
      // Null: its word is enough.
      "alter table agents add column proof blob"};
  absl::Status status = store::Migrate(**database, kApplicationId, kSteps);
  if (!status.ok()) return status;
  return database;
}

}  // namespace

absl::StatusOr<std::unique_ptr<InventoryStore>> InventoryStore::Open(const std::string& path) {
  absl::StatusOr<std::unique_ptr<store::Database>> database = OpenFile(path);
  if (!database.ok() && database.status().code() == absl::StatusCode::kDataLoss) {
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path + suffix).c_str());
    database = OpenFile(path);
  }
  if (!database.ok()) return database.status();
  return std::unique_ptr<InventoryStore>(new InventoryStore(*std::move(database)));
}

absl::StatusOr<std::vector<Agent>> InventoryStore::Load() {
  absl::StatusOr<store::Statement> select =
      database_->Prepare("select node, proof from agents order by id", "read the known agents");
  if (!select.ok()) return select.status();
  std::vector<Agent> agents;
  while (true) {
    absl::StatusOr<bool> row = select->Step();
    if (!row.ok()) return row.status();
    if (!*row) return agents;
    std::string_view bytes = select->Text(0);
    envoy::config::core::v3::Node node;
    if (!node.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) continue;
    absl::StatusOr<Agent> agent = ReadNode(node);
    if (!agent.ok()) continue;
    if (!select->IsNull(1)) {
      const std::string_view proof_bytes = select->Text(1);
      v1::AgentProof proof;
      if (!proof.ParseFromArray(proof_bytes.data(), static_cast<int>(proof_bytes.size()))) continue;
      Believe(proof, &*agent);
    }
    agents.push_back(*std::move(agent));
  }
}

absl::Status InventoryStore::Save(const std::vector<Agent>& agents) {
  absl::StatusOr<store::Transaction> transaction = store::Transaction::Begin(*database_);
  if (!transaction.ok()) return transaction.status();
  absl::Status status = database_->Execute("delete from agents", "forget the known agents");
  if (!status.ok()) return status;
  absl::StatusOr<store::Statement> insert = database_->Prepare(
      "insert into agents(id, node, proof) values (?1, ?2, ?3)", "remember an agent");
  if (!insert.ok()) return insert.status();
  for (const Agent& agent : agents) {
    const std::string proof = agent.proof ? agent.proof->SerializeAsString() : "";
    status = insert->Run(std::string_view(agent.id), store::Blob{agent.node_bytes},
                         agent.proof ? std::optional(store::Blob{proof}) : std::nullopt);
    if (!status.ok()) return status;
  }
  return transaction->Commit();
}

}  // namespace whence::discovery
