#include "controlplane/discovery/ip_set_steps.h"

#include <gtest/gtest.h>

#include <random>

#include "common/wire/ip_set.h"

namespace whence::discovery {
namespace {

using Steps = std::shared_ptr<const IpSetSteps>;

net::PackedCidrs Random(uint32_t seed, int v4, int v6) {
  std::mt19937 random(seed);
  std::vector<net::Cidr> cidrs;
  for (int i = 0; i < v4; ++i) cidrs.emplace_back(net::IpAddress::FromV4(random()), 32);
  for (int i = 0; i < v6; ++i) {
    net::IpAddress::Bytes bytes{0x20, 0x01};
    for (int b = 2; b < 8; ++b) bytes[b] = static_cast<uint8_t>(random());
    cidrs.emplace_back(net::IpAddress::FromV6(bytes), 64);
  }
  return net::Pack(cidrs);
}

net::PackedCidrs With(const net::PackedCidrs& set, const char* cidr) {
  return net::Union(set, net::Pack({net::Cidr::Parse(cidr).value()}));
}

// An agent: what it holds, under which version.
struct Holder {
  net::PackedCidrs content;
  std::string version;
  size_t messages = 0;
  size_t bytes = 0;
  size_t largest = 0;

  // Until it has `steps`' version.
  void Follow(const Steps& steps) {
    for (int guard = 0; version != steps->version(); ++guard) {
      ASSERT_LT(guard, 1000);
      const Resource step = steps->StepFrom(version);
      v1::IpSetResource message;
      ASSERT_TRUE(message.ParseFromString(*step.bytes));
      if (message.base_version().empty()) content = {};
      if (!message.base_version().empty()) {
        ASSERT_EQ(message.base_version(), version);
      }
      auto next = wire::AdvanceIpSet(message, std::move(content));
      ASSERT_TRUE(next.ok()) << next.status();
      content = *std::move(next);
      version = step.version;
      ASSERT_EQ(message.more(), version != steps->version());
      ++messages;
      bytes += step.bytes->size();
      largest = std::max(largest, step.bytes->size());
    }
  }
};

TEST(IpSetStepsTest, ALargeSetComesInBoundedParts) {
  const net::PackedCidrs content = Random(1, 120'000, 60'000);
  const Steps steps = IpSetSteps::Make("shop/a", content, nullptr);
  Holder holder;
  holder.Follow(steps);
  EXPECT_EQ(holder.content, content);
  EXPECT_EQ(holder.messages, 3u + 4u);
  EXPECT_LT(holder.largest, IpSetSteps::kMaxPartBytes + 200);
}

TEST(IpSetStepsTest, EmptyAndSmallSetsAreOneMessage) {
  for (const net::PackedCidrs& content : {net::PackedCidrs(), Random(2, 5, 0)}) {
    const Steps steps = IpSetSteps::Make("shop/a", content, nullptr);
    Holder holder;
    holder.Follow(steps);
    EXPECT_EQ(holder.content, content);
    EXPECT_EQ(holder.messages, 1u);
  }
}

TEST(IpSetStepsTest, AChangeIsADifferenceFromWhateverWasServedBefore) {
  const net::PackedCidrs first = Random(3, 100'000, 10'000);
  Steps steps = IpSetSteps::Make("shop/a", first, nullptr);
  Holder steady, late, latest;
  steady.Follow(steps);
  late.Follow(steps);
  net::PackedCidrs content = first;
  for (int i = 0; i < 20; ++i) {
    content = With(content, ("203.0.113." + std::to_string(i)).c_str());
    if (i == 7) content = net::Minus(content, Random(3, 3, 0));
    steps = IpSetSteps::Make("shop/a", content, steps);
    steady.bytes = steady.messages = 0;
    steady.Follow(steps);
    EXPECT_EQ(steady.content, content);
    EXPECT_EQ(steady.messages, 1u);
    EXPECT_LT(steady.bytes, 300u);
  }
  late.bytes = 0;
  late.Follow(steps);
  EXPECT_EQ(late.content, content);
  EXPECT_LT(late.bytes, 500u) << "twenty changes in one";
  latest.Follow(steps);
  EXPECT_EQ(latest.content, content);
}

TEST(IpSetStepsTest, WhatComesBackIsTheSameVersionAndNoCircle) {
  const net::PackedCidrs a = Random(4, 1000, 0), b = With(a, "203.0.113.1");
  Steps steps = IpSetSteps::Make("shop/a", a, nullptr);
  const std::string version = steps->version();
  EXPECT_EQ(IpSetSteps::Make("shop/a", a, steps), steps) << "nothing changed";
  Holder holder;
  holder.Follow(steps);
  for (int i = 0; i < 5; ++i) {
    for (const net::PackedCidrs* next : {&b, &a}) {
      steps = IpSetSteps::Make("shop/a", *next, steps);
      holder.Follow(steps);
      EXPECT_EQ(holder.content, *next);
    }
  }
  EXPECT_EQ(steps->version(), version);
}

TEST(IpSetStepsTest, WhoHasSomethingElseGetsAllOfIt) {
  const net::PackedCidrs content = Random(5, 60'000, 0);
  const Steps old = IpSetSteps::Make("shop/a", Random(6, 60'000, 0), nullptr);
  const Steps steps = IpSetSteps::Make("shop/a", content, old);  // too different for a difference
  for (const std::string& version :
       {std::string("unheard-of"), old->version(), old->version() + "+1/2", std::string("7"),
        steps->version() + "+9/2", steps->version() + "+x", steps->version() + "+"}) {
    Holder holder;
    holder.version = version;
    holder.Follow(steps);
    EXPECT_EQ(holder.content, content) << version;
  }
  // In the middle of it: goes on.
  Holder holder;
  const Resource part = steps->StepFrom("");
  EXPECT_EQ(part.version, steps->version() + "+1/2");
  EXPECT_EQ(steps->StepFrom(part.version).version, steps->version());
}

TEST(IpSetStepsTest, WholeIsWhole) {
  const net::PackedCidrs content = Random(7, 100'000, 50'000);
  v1::IpSetResource message;
  ASSERT_TRUE(message.ParseFromString(*IpSetSteps::Make("shop/a", content, nullptr)->Whole()));
  EXPECT_EQ(wire::AdvanceIpSet(message, {}).value(), content);
  EXPECT_TRUE(wire::DecodeIpSet(message).ok());
}

TEST(IpSetStepsTest, ManyStreamsShareOneStep) {
  net::PackedCidrs content;
  for (int i = 0; i < 400; ++i)
    content.v4 += std::string("\x0a\x00", 2) + char(i / 256) + char(i) + char(32);
  const auto first = IpSetSteps::Make("shop/a", content, nullptr);
  const Resource one = first->StepFrom("");
  EXPECT_EQ(first->StepFrom("").bytes, one.bytes);
  EXPECT_EQ(first->Whole(), first->Whole());
  net::PackedCidrs changed = content;
  changed.v4.resize(changed.v4.size() - net::kV4Record);
  const auto second = IpSetSteps::Make("shop/a", changed, first);
  EXPECT_EQ(second->StepFrom(first->version()).bytes, second->StepFrom(first->version()).bytes);
  EXPECT_NE(second->StepFrom(first->version()).bytes, second->StepFrom("").bytes);
}

}  // namespace
}  // namespace whence::discovery
