#include "common/inject/text_editor.h"

#include <gtest/gtest.h>

#include "tests/unit/common/inject/helpers.h"

namespace whence::inject {
namespace {

using Kind = Edit::Kind;

TEST(TextEditorTest, EditsInPlaceAndLeavesTheRestToTheByte) {
  const struct {
    const char* name;
    std::string text;
    Edit edit;
    std::string want;
  } kRows[] = {
      {"entry in block style",
       "a:  # why\n  b: 1   # keep\n\n  c: 2\n",
       {.kind = Kind::kAddEntry, .path = {"a"}, .key = "new", .value = {{"x", 1}}},
       "a:  # why\n  new:\n    x: 1\n  b: 1   # keep\n\n  c: 2\n"},
      {"entry in flow style",
       "a: {b: 1}\n",
       {.kind = Kind::kAddEntry, .path = {"a"}, .key = "new", .value = "x"},
       "a: {\"new\": \"x\", b: 1}\n"},
      {"entry in an empty mapping",
       "a: {}\n",
       {.kind = Kind::kAddEntry, .path = {"a"}, .key = "new", .value = 1},
       "a: {\"new\": 1}\n"},
      {"entry where nothing stands yet",
       "a:\nb: 1\n",
       {.kind = Kind::kAddEntry, .path = {"a"}, .key = "new", .value = 1},
       "a:\n  new: 1\nb: 1\n"},
      {"entry behind a dash",
       "- b: 1\n  c: 2\n",
       {.kind = Kind::kAddEntry, .path = {"0"}, .key = "new", .value = true},
       "- new: true\n  b: 1\n  c: 2\n"},
      {"item in block style, as deep as its key",
       "a:\n- b: 1\n",
       {.kind = Kind::kAddItem, .path = {"a"}, .value = {{"new", 1}, {"m", Json::array({1})}}},
       "a:\n- new: 1\n  m:\n  - 1\n- b: 1\n"},
      {"item in block style, deeper than its key, below a comment",
       "a:\n    # the first\n    - b: 1\n",
       {.kind = Kind::kAddItem, .path = {"a"}, .value = {{"new", 1}}},
       "a:\n    # the first\n    - new: 1\n    - b: 1\n"},
      {"item in JSON",
       "{\"a\": [\n  {\"b\": 1}\n]}\n",
       {.kind = Kind::kAddItem, .path = {"a"}, .value = {{"new", 1}}},
       "{\"a\": [{\"new\":1}, \n  {\"b\": 1}\n]}\n"},
      {"another name and value for an entry",
       "p:\n  tcp:\n    port: 1\n  # about q\n  q: 2\n",
       {.kind = Kind::kReplaceEntry, .path = {"p", "tcp"}, .key = "http", .value = {{"port", 2}}},
       "p:\n  http: {\"port\":2}\n  # about q\n  q: 2\n"},
      {"an entry as its author wrote it",
       "p:\n  http: {\"port\":2}\n  q: 2\n",
       {.kind = Kind::kReplaceEntry,
        .path = {"p", "http"},
        .key = "tcp",
        .value = {{"port", 1}},
        .text = "tcp:\n  port: 1"},
       "p:\n  tcp:\n    port: 1\n  q: 2\n"},
      {"an entry out of flow style",
       "p: {tcp: {port: \"}\"}, q: 2}\n",
       {.kind = Kind::kReplaceEntry, .path = {"p", "tcp"}, .key = "http", .value = 1},
       "p: {http: 1, q: 2}\n"},
      {"no entry",
       "a:\n  b: |\n    text\n    # text\n  c: 1\n",
       {.kind = Kind::kRemove, .path = {"a", "b"}},
       "a:\n  c: 1\n"},
      {"no item",
       "a:\n- b: 1\n  c: 2\n- d: 3\n",
       {.kind = Kind::kRemove, .path = {"a", "0"}},
       "a:\n- d: 3\n"},
      {"no list", "a:\n- b: 1\n- d: 3\ne: 4\n", {.kind = Kind::kRemove, .path = {"a"}}, "e: 4\n"},
      {"no first entry behind a dash",
       "- b: 1\n  c: 2\n",
       {.kind = Kind::kRemove, .path = {"0", "b"}},
       "- c: 2\n"},
      {"no item in flow style",
       "a: [b, 'c]', d]\n",
       {.kind = Kind::kRemove, .path = {"a", "1"}},
       "a: [b, d]\n"},
      {"no last item in flow style",
       "a: [b, it's]\n",
       {.kind = Kind::kRemove, .path = {"a", "1"}},
       "a: [b]\n"},
      {"carriage returns are kept",
       "a:\r\n  b: 1\r\n",
       {.kind = Kind::kAddEntry, .path = {"a"}, .key = "new", .value = 1},
       "a:\r\n  new: 1\r\n  b: 1\r\n"},
      {"letters of several bytes before it",
       "ä: {ö: {b: 1}}\n",
       {.kind = Kind::kAddEntry, .path = {"ä", "ö"}, .key = "new", .value = 1},
       "ä: {ö: {\"new\": 1, b: 1}}\n"},
      {"the second document",
       "a:\n  b: 1\n---\nc: 1\n",
       {.kind = Kind::kAddEntry, .path = {}, .key = "new", .value = 1},
       "a:\n  b: 1\n---\nnew: 1\nc: 1\n"},
  };
  for (const auto& row : kRows) {
    std::string text = row.text;
    const size_t document = row.text.find("---") == std::string::npos ? 0 : 1;
    const absl::Status status = EditText(document, row.edit, &text);
    EXPECT_TRUE(status.ok()) << row.name << ": " << status;
    EXPECT_EQ(text, row.want) << row.name;
  }
}

TEST(TextEditorTest, RefusesWhatItCannotEdit) {
  for (const auto& [text, path] : std::vector<std::pair<std::string, Path>>{
           {"a: null\n", {"a"}}, {"a: word\n", {"a"}}, {"a: 1\n", {"b"}}, {"- - a\n", {"0"}}}) {
    std::string edited = text;
    EXPECT_FALSE(EditText(0, {.kind = Kind::kAddItem, .path = path, .value = 1}, &edited).ok())
        << text;
    EXPECT_EQ(edited, text);
  }
}

TEST(TextEditorTest, ReadsScalarsAsKubernetesDoes) {
  EXPECT_EQ(
      Parse("[1, -2, 1.5, true, null, ~, '1', \"true\", 1.2.3, 10.0.0.1, yes, 0x1F, inf]").dump(),
      R"([1,-2,1.5,true,null,null,"1","true","1.2.3","10.0.0.1","yes","0x1F","inf"])");
}

TEST(TextEditorTest, RefusesAliasesThatMultiply) {
  std::string text = "a: &a [x, x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'i'; ++c) {
    text += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) text += std::string(i == 0 ? "*" : ", *") + char(c - 1);
    text += "]\n";
  }
  const document::TextFile file = document::ParseText(text);
  ASSERT_EQ(file.error, "");
  EXPECT_FALSE(ToJson(*file.documents[0]).ok());
}

TEST(TextEditorTest, GivesTheTextOfAnEntry) {
  EXPECT_EQ(EntryText("p:\n    tcp:\n        port: 1  # why\n    q: 1\n", 0, {"p", "tcp"}),
            "tcp:\n    port: 1  # why");
  EXPECT_EQ(EntryText("p: {tcp: [1, 2], q: 1}\n", 0, {"p", "tcp"}), "tcp: [1, 2]");
  EXPECT_EQ(EntryText("p: {q: 1}\n", 0, {"p", "tcp"}), "");
}

}  // namespace
}  // namespace whence::inject
