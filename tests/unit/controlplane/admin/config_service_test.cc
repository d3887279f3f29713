// ConfigService over real gRPC on a unix socket, with the real store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/controlplane/control_fixture.h"

namespace whence::admin {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

std::string Set(const std::string& name, const std::string& cidr = "10.0.0.0/8") {
  return "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: " + name + "}\nspec: {cidrs: [" +
         cidr + "]}\n";
}

std::string Policy(const std::string& name, const std::string& source) {
  return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  action: DENY\n  rules:\n  - from:\n    - source: {" + source + "}\n";
}

class ConfigServiceTest : public ControlFixture {
 protected:
  v1::ApplyResponse Apply(const std::vector<std::string>& files, bool dry_run = false) {
    v1::ApplyRequest request;
    int number = 0;
    for (const std::string& content : files) {
      v1::SourceFile* file = request.add_files();
      file->set_name("f" + std::to_string(number++) + ".yaml");
      file->set_content(content);
    }
    request.set_dry_run(dry_run);
    request.set_author("ana");
    v1::ApplyResponse response;
    grpc::ClientContext context;
    grpc::Status status = stub_->Apply(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  grpc::Status Get(const std::string& kind, const std::string& name, v1::GetResponse* response,
                   const std::string& space = "") {
    v1::GetRequest request;
    request.set_kind(kind);
    request.set_name(name);
    request.set_namespace_(space);
    grpc::ClientContext context;
    return stub_->Get(&context, request, response);
  }

  v1::GetResponse GetAll() {
    v1::GetResponse response;
    EXPECT_TRUE(Get("all", "", &response).ok());
    return response;
  }

  grpc::Status Delete(const std::string& kind, const std::string& name,
                      v1::ApplyResponse* response) {
    v1::DeleteRequest request;
    request.set_kind(kind);
    request.set_name(name);
    grpc::ClientContext context;
    return stub_->Delete(&context, request, response);
  }
};

TEST_F(ConfigServiceTest, CommitsNothingOfBadDocumentsAndListsEveryFault) {
  v1::ApplyResponse response = Apply({
      Set("good"),
      Policy("misspelled", "ipBlock: [10.0.0.0/8]") + "---\n" + Policy("bad", "ipBlocks: [10/8]"),
      "apiVersion: whence.dev/v1\nkind: IpPolcy\nmetadata: {name: x}\n",
      Policy("dangling", "ipSets: [missing]"),
  });
  EXPECT_EQ(response.revision(), 0u);
  EXPECT_TRUE(response.changes().empty());
  std::vector<std::string> places;
  for (const v1::Fault& fault : response.faults()) places.push_back(fault.file());
  EXPECT_THAT(places, ::testing::UnorderedElementsAre("f1.yaml", "f1.yaml", "f2.yaml", "f3.yaml"));
  EXPECT_EQ(response.faults(0).line(), 8u);
  EXPECT_THAT(response.faults(0).message(), HasSubstr("ipBlocks"));
  EXPECT_THAT(GetAll().documents(), SizeIs(0));
  EXPECT_EQ(GetAll().revision(), 0u);
}

TEST_F(ConfigServiceTest, CommitsAllFilesInOneRevision) {
  v1::ApplyResponse response = Apply({Policy("p", "ipSets: [s]"), Set("s")});
  ASSERT_THAT(response.faults(), SizeIs(0)) << response.DebugString();
  EXPECT_EQ(response.revision(), 1u);
  ASSERT_THAT(response.changes(), SizeIs(2));
  EXPECT_EQ(response.changes(0).kind(), "AuthorizationPolicy");
  EXPECT_EQ(response.changes(0).namespace_(), "default");
  EXPECT_EQ(response.changes(0).action(), v1::Change::CREATED);
  EXPECT_EQ(Apply({Set("s", "11.0.0.0/8"), Policy("p", "ipSets: [s]")}).revision(), 2u);
  EXPECT_EQ(Apply({Set("s", "11.0.0.0/8")}).revision(), 0u);
  ASSERT_NE(plane_->current.Get(), nullptr);
  EXPECT_EQ(plane_->current.Get()->revision, 2u);
}

TEST_F(ConfigServiceTest, WarnsWhenAnotherKindTakesTheNameOfADocument) {
  const std::string ours =
      "apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: p}\n"
      "spec: {action: DENY, rules: [{from: [{source: {ipBlocks: [192.0.2.0/24]}}]}]}\n";
  ASSERT_THAT(Apply({ours}).warnings(), SizeIs(0));
  EXPECT_THAT(Apply({ours}).warnings(), SizeIs(0)) << "in its own kind it is only changed";
  EXPECT_THAT(Apply({Policy("q", "ipBlocks: [10.0.0.0/8]")}).warnings(), SizeIs(0));
  for (const bool dry_run : {true, false}) {
    const v1::ApplyResponse response = Apply({Policy("p", "ipBlocks: [10.0.0.0/8]")}, dry_run);
    ASSERT_THAT(response.warnings(), SizeIs(1));
    EXPECT_EQ(response.warnings(0).file(), "f0.yaml");
    EXPECT_EQ(response.warnings(0).line(), 2u);
    EXPECT_EQ(response.warnings(0).path(), "kind");
    EXPECT_THAT(
        response.warnings(0).message(),
        HasSubstr("takes the place of IpPolicy default/p: the two kinds share their names"));
    EXPECT_EQ(response.revision(), dry_run ? 0u : 3u);
  }
}

// A response with one string that is not UTF-8 cannot be read at all.
TEST_F(ConfigServiceTest, CutsTextBetweenCharacters) {
  v1::ApplyRequest request;
  request.set_author(std::string(127, 'a') + "ü");
  request.add_files()->set_content(Set("s"));
  v1::ApplyResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->Apply(&context, request, &response).ok());
  ASSERT_THAT(GetAll().documents(), SizeIs(1));
  EXPECT_EQ(GetAll().documents(0).author(), std::string(127, 'a'));
  for (const size_t before : {59, 63, 79}) {
    response =
        Apply({Set("t", "\"" + std::string(before, 'x') + "ü" + std::string(40, 'x') + "\""),
               "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: u}\nspec: {cidrs: " +
                   std::string(before, 'x') + "üxxxx}\n"});
    EXPECT_THAT(response.faults(), SizeIs(2));
  }
  response = Apply({Set("t", "\"\xff\"")});
  ASSERT_THAT(response.faults(), SizeIs(1));
  EXPECT_THAT(response.faults(0).message(), HasSubstr("not UTF-8"));
}

TEST_F(ConfigServiceTest, DryRunSaysWhatWouldChangeAndChangesNothing) {
  Apply({Set("a"), Set("b")});
  v1::ApplyResponse response = Apply({Set("a"), Set("b", "1.1.1.1/32"), Set("c")}, true);
  ASSERT_THAT(response.changes(), SizeIs(3));
  EXPECT_EQ(response.changes(0).action(), v1::Change::UNCHANGED);
  EXPECT_EQ(response.changes(1).action(), v1::Change::UPDATED);
  EXPECT_EQ(response.changes(2).action(), v1::Change::CREATED);
  EXPECT_EQ(response.revision(), 0u);
  EXPECT_THAT(GetAll().documents(), SizeIs(2));
}

TEST_F(ConfigServiceTest, ServesTheSameAfterARestart) {
  Apply({Set("s"), Policy("p", "ipSets: [s]")});
  std::string before = GetAll().SerializeAsString();
  Restart();
  EXPECT_EQ(GetAll().SerializeAsString(), before);
  EXPECT_EQ(GetAll().documents(0).author(), "ana");
}

TEST_F(ConfigServiceTest, StrictRollbackCommitsNothingThatIsWarnedOf) {
  ASSERT_EQ(Apply({Policy("p", "ipBlocks: [192.0.2.7/24]")}).revision(), 1u);
  ASSERT_EQ(Apply({Policy("p", "ipBlocks: [192.0.2.0/25]")}).revision(), 2u);
  v1::RollbackRequest request;
  request.set_revision(1);
  request.set_strict(true);
  v1::ApplyResponse response;
  grpc::ClientContext strict;
  ASSERT_TRUE(stub_->Rollback(&strict, request, &response).ok());
  EXPECT_EQ(response.revision(), 0u);
  EXPECT_THAT(response.changes(), SizeIs(0));
  ASSERT_THAT(response.faults(), SizeIs(1)) << response.DebugString();
  EXPECT_EQ(response.faults(0).path(), "spec.rules[0].from[0].source.ipBlocks[0]");
  EXPECT_EQ(response.faults(0).line(), 0u);  // in a text that nobody has before him
  EXPECT_EQ(GetAll().revision(), 2u);
  request.set_strict(false);
  grpc::ClientContext lenient;
  ASSERT_TRUE(stub_->Rollback(&lenient, request, &response).ok());
  EXPECT_EQ(response.revision(), 3u);
  EXPECT_THAT(response.faults(), SizeIs(0));
}

TEST_F(ConfigServiceTest, FindsKindsAsPeopleWriteThem) {
  Apply({Policy("p", "ipBlocks: [10.0.0.0/8]"), Set("s")});
  for (const char* kind : {"ippolicy", "AuthorizationPolicies", "policies", "POLICY"}) {
    v1::GetResponse response;
    ASSERT_TRUE(Get(kind, "", &response).ok()) << kind;
    ASSERT_THAT(response.documents(), SizeIs(1)) << kind;
    EXPECT_EQ(response.documents(0).document().kind(), "AuthorizationPolicy");
  }
  v1::GetResponse response;
  grpc::Status status = Get("ippolcy", "", &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("did you mean IpPolicy"));
  EXPECT_EQ(Get("ipset", "missing", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Get("ipset", "s", &response, "other").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Get("gateways", "", &response).ok());
}

TEST_F(ConfigServiceTest, RefusesToDeleteWhatIsNeeded) {
  Apply({Set("s"), Policy("p", "ipSets: [s]")});
  v1::ApplyResponse response;
  ASSERT_TRUE(Delete("ipset", "s", &response).ok());
  EXPECT_EQ(response.revision(), 0u);
  ASSERT_THAT(response.faults(), SizeIs(1));
  EXPECT_THAT(response.faults(0).document(), HasSubstr("AuthorizationPolicy default/p"));
  ASSERT_TRUE(Delete("policy", "p", &response).ok());
  ASSERT_TRUE(Delete("ipset", "s", &response).ok());
  EXPECT_EQ(response.revision(), 3u);
  EXPECT_EQ(Delete("ipset", "s", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(GetAll().documents(), SizeIs(0));
}

TEST_F(ConfigServiceTest, RefusesADocumentThatIsTooLargeForItsKind) {
  std::string cidrs;
  for (int i = 0; i < 65'536; ++i) {
    cidrs += (i ? ", " : "") + ("10.0." + std::to_string(i / 256)) + "." + std::to_string(i % 256);
  }
  v1::ApplyResponse response = Apply({Policy("p", "ipBlocks: [" + cidrs + "]")});
  ASSERT_THAT(response.faults(), SizeIs(1));
  EXPECT_THAT(response.faults(0).message(), HasSubstr("512 KiB"));
  EXPECT_THAT(response.faults(0).message(), HasSubstr("IpSet"));
  EXPECT_EQ(Apply({Set("s", cidrs)}).revision(), 1u);
}

TEST_F(ConfigServiceTest, AFullDiskIsAnErrorThatHealthShowsUntilItIsOver) {
  Apply({Set("s")});
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 100'000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string cidrs;
  for (int i = 0; i < 65'536; ++i) {
    cidrs += (i ? ", " : "") + ("10.0." + std::to_string(i / 256)) + "." + std::to_string(i % 256);
  }
  v1::ApplyRequest request;
  request.add_files()->set_content(Set("large", cidrs));
  v1::ApplyResponse response;
  grpc::ClientContext context;
  grpc::Status status = stub_->Apply(&context, request, &response);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);

  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.error_message(), HasSubstr("config.db: cannot "));
  EXPECT_FALSE(plane_->writer.Health().ok());
  EXPECT_EQ(GetAll().revision(), 1u);
  EXPECT_EQ(Apply({Set("t")}).revision(), 2u);
  EXPECT_TRUE(plane_->writer.Health().ok());
}

TEST_F(ConfigServiceTest, ConcurrentAppliesEachGetARevisionOfTheirOwn) {
  std::vector<std::thread> threads;
  std::vector<uint64_t> revisions(8);
  for (size_t i = 0; i < revisions.size(); ++i) {
    threads.emplace_back(
        [&, i] { revisions[i] = Apply({Set("s" + std::to_string(i))}).revision(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(revisions, ::testing::UnorderedElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(GetAll().documents(), SizeIs(8));
  EXPECT_EQ(plane_->current.Get()->revision, 8u);
}

}  // namespace
}  // namespace whence::admin
