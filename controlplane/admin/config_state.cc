#include "controlplane/admin/config_state.h"

#include <map>
#include <utility>

#include "common/bundle/config_view.h"
#include "common/document/kinds.h"

namespace whence::admin {

std::shared_ptr<const model::ConfigState> MakeState(store::Contents contents) {
  auto state = std::make_shared<model::ConfigState>();
  state->revision = contents.revision;
  state->documents = std::move(contents.documents);
  std::vector<v1::Document> documents;
  documents.reserve(state->documents.size());
  for (const v1::StoredDocument& stored : state->documents) documents.push_back(stored.document());
  state->view = std::make_shared<const bundle::ConfigView>(std::move(documents));
  return state;
}

std::shared_ptr<const model::ConfigState> WithMutations(
    const model::ConfigState& state, const std::vector<store::Mutation>& mutations) {
  std::map<store::DocumentKey, v1::StoredDocument> documents;
  for (const v1::StoredDocument& stored : state.documents) {
    const v1::Document& document = stored.document();
    documents[{document::KeyKind(document), document.metadata().namespace_(),
               document.metadata().name()}] = stored;
  }
  for (const store::Mutation& mutation : mutations) {
    if (mutation.document) {
      *documents[mutation.key].mutable_document() = *mutation.document;
    } else {
      documents.erase(mutation.key);
    }
  }
  store::Contents contents{state.revision, {}};
  for (auto& [key, stored] : documents) contents.documents.push_back(std::move(stored));
  return MakeState(std::move(contents));
}

}  // namespace whence::admin
