#include "controlplane/security/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "controlplane/security/certificate.h"

namespace whence::security {
namespace {

using std::chrono::hours;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

const WallTime kNow(std::chrono::seconds(1'800'000'000));
const Identity kAgent{Kind::kAgent, "whence.local", "shop", "web"};

class AuthorityTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = MakeAuthority("whence.local", kNow, hours(240));
    ASSERT_TRUE(made.ok()) << made.status();
    authority_ = *made;
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-ca-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string File(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
    return directory_ + "/" + name;
  }

  PemPair authority_;
  std::string directory_;
};

TEST_F(AuthorityTest, IssuesCertificatesThatOpensslVerifiesForTheirPurpose) {
  auto agent = Issue(authority_, {kAgent, {}, hours(24)}, kNow);
  auto server = Issue(authority_,
                      {{Kind::kControlPlane, "whence.local", "", "main"},
                       {"10.0.0.5", "whence.example", "2001:db8::5"},
                       hours(24)},
                      kNow);
  ASSERT_TRUE(agent.ok() && server.ok()) << agent.status() << server.status();
  File("ca.crt", authority_.certificate);
  File("agent.crt", agent->certificate);
  File("server.crt", server->certificate);
  auto verify = [this](const std::string& arguments) {
    return std::system(("openssl verify -attime 1800000100 -x509_strict -CAfile " + directory_ +
                        "/ca.crt " + arguments + " >/dev/null 2>&1")
                           .c_str()) == 0;
  };
  EXPECT_TRUE(verify("-purpose sslclient " + directory_ + "/agent.crt"));
  EXPECT_FALSE(verify("-purpose sslserver " + directory_ + "/agent.crt"));
  EXPECT_TRUE(verify("-purpose sslserver -verify_ip 10.0.0.5 " + directory_ + "/server.crt"));
  EXPECT_TRUE(verify("-purpose sslserver -verify_ip 2001:db8::5 " + directory_ + "/server.crt"));
  EXPECT_TRUE(
      verify("-purpose sslserver -verify_hostname whence.example " + directory_ + "/server.crt"));
  EXPECT_FALSE(verify("-purpose sslserver -verify_ip 10.0.0.6 " + directory_ + "/server.crt"));
}

TEST_F(AuthorityTest, NamesOneUriAndAnAgentsAddressesAndLabels) {
  auto agent =
      Issue(authority_,
            {kAgent, {"10.0.0.5", "2001:db8::5"}, hours(24), {"app=web", "x/y=", "OU=1"}}, kNow);
  ASSERT_TRUE(agent.ok()) << agent.status();
  auto info = ParseCertificates(agent->certificate);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT((*info)[0].uris, ElementsAre("spiffe://whence.local/ns/shop/workload/web"));
  EXPECT_FALSE((*info)[0].is_ca);
  EXPECT_EQ((*info)[0].not_after, kNow + hours(24));
  EXPECT_THAT((*info)[0].addresses, ElementsAre(*net::IpAddress::Parse("10.0.0.5"),
                                                *net::IpAddress::Parse("2001:db8::5")));
  EXPECT_THAT((*info)[0].labels, ElementsAre(Pair("OU", "1"), Pair("app", "web"), Pair("x/y", "")));
  // With an address of its own it is no server's all the same.
  File("ca.crt", authority_.certificate);
  File("agent.crt", agent->certificate);
  const std::string verify = "openssl verify -attime 1800000100 -x509_strict -CAfile " +
                             directory_ + "/ca.crt -verify_ip 10.0.0.5 -purpose ";
  const std::string file = " " + directory_ + "/agent.crt >/dev/null 2>&1";
  EXPECT_EQ(std::system((verify + "sslclient" + file).c_str()), 0);
  EXPECT_NE(std::system((verify + "sslserver" + file).c_str()), 0);
}

TEST_F(AuthorityTest, RefusesWhatACertificateOfItsKindCannotSay) {
  const Identity operators{Kind::kEditor, "whence.local", "", "eve"};
  const Identity server{Kind::kControlPlane, "whence.local", "", "main"};
  const std::string longest = "k=" + std::string(62, 'v');
  EXPECT_TRUE(Issue(authority_, {kAgent, {}, hours(1), {longest}}, kNow).ok());
  struct Case {
    Identity identity;
    std::string address, label;
  };
  for (const Case& one :
       {Case{kAgent, "web.shop", ""}, Case{kAgent, "0.0.0.0", ""}, Case{kAgent, "10.0.0.0/8", ""},
        Case{operators, "10.0.0.5", ""}, Case{operators, "", "a=b"}, Case{server, "", "a=b"},
        Case{kAgent, "", "a"}, Case{kAgent, "", "=b"}, Case{kAgent, "", "a=b c"},
        Case{kAgent, "", "a=b=c"}, Case{kAgent, "", longest + "v"}}) {
    IssueRequest request{one.identity, {}, hours(1)};
    if (!one.address.empty()) request.addresses = {one.address};
    if (!one.label.empty()) request.labels = {one.label};
    const auto issued = Issue(authority_, request, kNow);
    EXPECT_EQ(issued.status().code(), absl::StatusCode::kInvalidArgument)
        << one.address << one.label;
  }
}

TEST_F(AuthorityTest, OutlivesNothingThatItIssued) {
  auto agent = Issue(authority_, {kAgent, {}, hours(24 * 365)}, kNow);
  ASSERT_TRUE(agent.ok());
  EXPECT_EQ((*ParseCertificates(agent->certificate))[0].not_after, kNow + hours(240));
}

TEST_F(AuthorityTest, RefusesNamesThatWouldBeMoreOfTheExtension) {
  for (const char* address : {"a,DNS:evil", "", "10.0.0.5:15012", "a b", "*.example", "x/y"}) {
    Identity server{Kind::kControlPlane, "whence.local", "", "main"};
    EXPECT_FALSE(Issue(authority_, {server, {address}, hours(1)}, kNow).ok()) << address;
  }
  for (const char* domain : {"", "A.example", "a/b", "a b"}) {
    EXPECT_FALSE(MakeAuthority(domain, kNow, hours(1)).ok()) << domain;
  }
}

TEST_F(AuthorityTest, IsRecognisedByItsTrustDomain) {
  EXPECT_EQ(*TrustDomainOf(authority_.certificate), "whence.local");
  auto agent = Issue(authority_, {kAgent, {}, hours(1)}, kNow);
  EXPECT_FALSE(TrustDomainOf(agent->certificate).ok());
  EXPECT_FALSE(Issue({authority_.certificate, agent->key}, {kAgent, {}, hours(1)}, kNow).ok());
}

TEST_F(AuthorityTest, TellsAKeyThatIsNotTheCertificates) {
  auto a = Issue(authority_, {kAgent, {}, hours(1)}, kNow);
  auto b = Issue(authority_, {kAgent, {}, hours(1)}, kNow);
  std::string certificate = File("a.crt", a->certificate);
  EXPECT_TRUE(CheckKeyPair(certificate, File("a.key", a->key)).ok());
  absl::Status status = CheckKeyPair(certificate, File("b.key", b->key));
  EXPECT_THAT(std::string(status.message()), HasSubstr("b.key is not the key of --cert"));
  EXPECT_FALSE(CheckKeyPair(certificate, certificate).ok());
}

TEST_F(AuthorityTest, ReadsAFileOfSeveralAndRefusesADamagedOne) {
  auto other = MakeAuthority("other.local", kNow, hours(1));
  auto both = ReadCertificates("--ca", File("both", authority_.certificate + other->certificate));
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->size(), 2u);
  std::string half = authority_.certificate + other->certificate.substr(0, 200);
  absl::Status status = ReadCertificates("--ca", File("half", half)).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("--ca " + directory_ + "/half"));
  EXPECT_FALSE(ReadCertificates("--ca", directory_ + "/none").ok());
}

}  // namespace
}  // namespace whence::security
