#include "common/document/ip_set.h"

#include <utility>

namespace whence::document {

net::PackedCidrs ContentOf(const v1::IpSetSpec& spec) {
  net::CidrPacker packer;
  for (const std::string& text : spec.cidrs()) {
    // Checked when it was applied; what is not a CIDR cannot be here.
    if (const auto cidr = net::Cidr::Parse(text); cidr.ok()) packer.Add(*cidr);
  }
  const net::PackedCidrs written = packer.Finish();
  net::PackedCidrs packed{spec.packed().v4(), spec.packed().v6()};
  return written.empty() ? packed : net::Union(packed, written);
}

size_t CountOf(const v1::IpSetSpec& spec) {
  return static_cast<size_t>(spec.cidrs_size()) + spec.packed().v4().size() / net::kV4Record +
         spec.packed().v6().size() / net::kV6Record;
}

void SetContent(net::PackedCidrs content, v1::IpSetSpec* spec) {
  spec->clear_cidrs();
  spec->clear_file();
  spec->mutable_packed()->set_v4(std::move(content.v4));
  spec->mutable_packed()->set_v6(std::move(content.v6));
}

void Compact(v1::IpSetSpec* spec) {
  if (spec->cidrs_size() > kKeptAsWritten) SetContent(ContentOf(*spec), spec);
}

void Expand(v1::IpSetSpec* spec) {
  if (!spec->has_packed()) return;
  const net::PackedCidrs packed{spec->packed().v4(), spec->packed().v6()};
  net::ForEach(packed, [spec](const net::Cidr& cidr) { spec->add_cidrs(cidr.ToString()); });
  spec->clear_packed();
}

}  // namespace whence::document
