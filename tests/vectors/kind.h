// A kind of test vector: how one line of its file is run against the real code.
//
// To add a kind, write its run function and name it in kinds.cc.
#ifndef WHENCE_TESTS_VECTORS_KIND_H_
#define WHENCE_TESTS_VECTORS_KIND_H_

#include <string_view>

#include "nlohmann/json.hpp"

namespace whence::vectors {

struct Outcome {
  bool passed = false;
  bool strict = false;  // passed by a stricter answer that the vector also accepts
  nlohmann::json wanted;
  nlohmann::json got;
};

struct Kind {
  std::string_view name;
  // Runs one vector. May throw nlohmann::json::exception if it lacks what its format promises.
  Outcome (*run)(const nlohmann::json& vector);
};

// Null if there is no such kind.
const Kind* FindKind(std::string_view name);

Outcome RunXff(const nlohmann::json& vector);
Outcome RunAuthz(const nlohmann::json& vector);
Outcome RunHttp1Request(const nlohmann::json& vector);
Outcome RunHttp1Response(const nlohmann::json& vector);
Outcome RunProxyProtocol(const nlohmann::json& vector);

// Compares the keys that `out` has with `got`; a key in `strict_out` may have that value instead.
Outcome CompareKeys(const nlohmann::json& out, const nlohmann::json& strict_out,
                    const nlohmann::json& got);

}  // namespace whence::vectors

#endif  // WHENCE_TESTS_VECTORS_KIND_H_
