// What TLVs say, as one line for people and for the access log.
#ifndef WHENCE_COMMON_PROXY_PROTOCOL_TLV_TEXT_H_
#define WHENCE_COMMON_PROXY_PROTOCOL_TLV_TEXT_H_

#include <string>
#include <string_view>

namespace whence::proxy_protocol {

// "authority=shop.example,unique-id=7f3a,aws-vpce-id=vpce-08d2bf15fac5001c9": those that tell who
// came, in wire order, the others left out. Empty: there is none.
//
//   authority           0x02: the host name that the client asked for (TLS server name)
//   unique-id           0x05: the sender's name for the connection
//   aws-vpce-id         0xea 0x01: the AWS endpoint that the client came through
//   azure-link-id       0xee 0x01: the Azure private endpoint's LinkID, a number
//   gcp-psc-connection  0xe0: Google's Private Service Connect connection id, a number
//
// A value that is not printable text is written in hex; blanks, commas and percent signs in it as
// %20 and the like, so that a line can be taken apart again. REQUIRES: whole TLVs. Pure.
std::string TlvText(std::string_view tlvs);

}  // namespace whence::proxy_protocol

#endif  // WHENCE_COMMON_PROXY_PROTOCOL_TLV_TEXT_H_
