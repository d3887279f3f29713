// The store's promises, kept by every implementation: tests that a program instantiates with its own.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_STORE_STORE_TEST_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_STORE_STORE_TEST_H_

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/net/packed_cidrs.h"
#include "controlplane/store/store.h"

namespace whence::store {

// One store of its own. Thread-compatible.
class Backend {
 public:
  virtual ~Backend() = default;
  // Opens it, anew or again.
  virtual std::unique_ptr<Store> Open() = 0;
};

struct BackendFactory {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
};

class StoreTest : public ::testing::TestWithParam<BackendFactory> {
 protected:
  std::unique_ptr<Store> Open() { return backend_->Open(); }
  std::unique_ptr<Backend> backend_ = GetParam().make();
};

inline v1::Document Mesh(const std::string& root_namespace) {
  v1::Document document;
  document.set_api_version("whence.dev/v1");
  document.set_kind("Mesh");
  document.mutable_metadata()->set_name("mesh");
  document.mutable_mesh()->set_root_namespace(root_namespace);
  return document;
}

inline v1::Document Policy(const std::string& name, const std::string& cidr) {
  v1::Document document;
  document.set_api_version("security.istio.io/v1");
  document.set_kind("AuthorizationPolicy");
  document.mutable_metadata()->set_name(name);
  document.mutable_metadata()->set_namespace_("demo");
  document.mutable_ip_policy()->add_rules()->add_from()->mutable_source()->add_ip_blocks(cidr);
  return document;
}

inline CommitRequest Put(std::vector<v1::Document> documents) {
  CommitRequest request;
  request.author = "ana";
  request.message = "because";
  request.time = WallTime(std::chrono::microseconds(1'700'000'000'000'001));
  for (v1::Document& document : documents) {
    std::string kind = document.has_ip_policy() ? "IpPolicy" : document.kind();
    request.mutations.push_back(
        {{kind, document.metadata().namespace_(), document.metadata().name()}, document});
  }
  return request;
}

inline CommitRequest Remove(const DocumentKey& key) {
  CommitRequest request;
  request.mutations.push_back({key, std::nullopt});
  return request;
}

inline v1::Document LargeSet(const net::PackedCidrs& content) {
  v1::Document document;
  document.set_api_version("whence.dev/v1");
  document.set_kind("IpSet");
  document.mutable_metadata()->set_name("big");
  document.mutable_metadata()->set_namespace_("shop");
  document.mutable_ip_set()->mutable_packed()->set_v4(content.v4);
  document.mutable_ip_set()->mutable_packed()->set_v6(content.v6);
  return document;
}

inline net::PackedCidrs Numbers(uint32_t first, uint32_t count) {
  std::vector<net::Cidr> cidrs;
  for (uint32_t i = 0; i < count; ++i) {
    cidrs.emplace_back(net::IpAddress::FromV4((first + i) * 256), 24);
  }
  return net::Pack(cidrs);
}

}  // namespace whence::store

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_STORE_STORE_TEST_H_
