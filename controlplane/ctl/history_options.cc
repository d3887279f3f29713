#include "controlplane/ctl/history_options.h"

#include "common/base/command_line.h"

namespace whence::ctl {
namespace {

constexpr char kDiffHelp[] = R"(Examples:
  whencectl diff -f policies/      # what apply would change
  whencectl diff 12 15             # what changed between two revisions
  whencectl diff 12                # since revision 12

Exit codes: 0 no difference, 1 there is one, 2 it cannot be told (as diff and kubectl diff).)";

constexpr char kRollbackHelp[] = R"(Examples:
  whencectl history
  whencectl diff 15 12             # what going back from 15 to 12 would change
  whencectl rollback 12 -m "the new edge policy shut out the office")";

void AddOutput(CLI::App* command, HistoryFlags& flags, const char* plain) {
  command->add_option("-o,--output", flags.output, "How to print")
      ->check(CLI::IsMember({plain, "json"}))
      ->default_str(plain);
}

}  // namespace

void AddIfRevision(CLI::App* command) {
  command->add_option("--if-revision", "Only if the configuration is still at this revision")
      ->check(WholeNumberFrom<uint64_t>(0))
      ->type_name("REVISION");
}

std::optional<uint64_t> IfRevision(const CLI::App& command) {
  const CLI::Option* option = command.get_option("--if-revision");
  if (option->count() == 0) return std::nullopt;
  return option->as<uint64_t>();
}

void DeclareHistory(CLI::App& app, HistoryFlags& flags) {
  CLI::App* history =
      app.add_subcommand("history", "Revisions, the newest first: who changed what, when and why");
  history->add_option("--limit", flags.limit, "At most so many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  history->add_option("--before", flags.before, "Only revisions below this one")
      ->check(WholeNumberFrom<uint64_t>(1))
      ->type_name("REVISION");
  AddOutput(history, flags, "table");

  CLI::App* diff =
      app.add_subcommand("diff", "What files would change, or what changed between two revisions");
  auto* files = diff->add_option(
      "-f,--file", flags.files, "File, directory or - (may be repeated): against what is in force");
  diff->add_option("REVISION", flags.revisions,
                   "From this revision to that one (default: the current one)")
      ->expected(0, 2)
      ->check(WholeNumberFrom<uint64_t>(0))
      ->type_name("NUMBER")
      ->excludes(files);
  diff->add_flag("--ignore-unsupported", flags.ignore_unsupported,
                 "Warn of Istio fields that Whence does not act on, instead of refusing them");
  diff->add_option("-n,--namespace", flags.namespace_name,
                   "For documents without one (default: default)");
  AddOutput(diff, flags, "diff");
  diff->footer(kDiffHelp);

  flags.rollback = app.add_subcommand(
      "rollback", "Make all documents what they were at a revision, by a new revision");
  flags.rollback->add_option("REVISION", flags.revision, "The one to go back to")
      ->required()
      ->check(WholeNumberFrom<uint64_t>(1))
      ->type_name("NUMBER");
  flags.rollback->add_flag("--dry-run", flags.dry_run, "Commit nothing, say what would change");
  flags.rollback->add_flag("--strict", flags.strict,
                           "Refuse what apply --strict refuses: nothing is committed then");
  flags.rollback->add_option("-m,--message", flags.message, "Why, for the history");
  AddIfRevision(flags.rollback);
  AddOutput(flags.rollback, flags, "table");
  flags.rollback->footer(kRollbackHelp);
}

std::string InterpretHistory(const CLI::App& app, const HistoryFlags& flags, Options* options) {
  const Output output = flags.output == "json" ? Output::kJson : Output::kTable;
  if (app.got_subcommand("history")) {
    HistoryOptions history{.request = {}, .output = output};
    history.request.set_limit(flags.limit);
    history.request.set_before(flags.before);
    options->command = std::move(history);
  } else if (app.got_subcommand("diff")) {
    if (flags.files.empty() && flags.revisions.empty()) {
      return "diff of what? give -f FILE, or one or two revisions";
    }
    DiffOptions diff{.files = flags.files, .request = {}, .output = output};
    diff.request.set_ignore_unsupported(flags.ignore_unsupported);
    diff.request.set_default_namespace(flags.namespace_name);
    if (!flags.revisions.empty()) diff.request.set_from_revision(flags.revisions.front());
    if (flags.revisions.size() > 1) diff.request.set_to_revision(flags.revisions.back());
    options->command = std::move(diff);
  } else if (app.got_subcommand("rollback")) {
    RollbackOptions rollback{.request = {}, .output = output};
    rollback.request.set_revision(flags.revision);
    rollback.request.set_dry_run(flags.dry_run);
    rollback.request.set_strict(flags.strict);
    rollback.request.set_message(flags.message);
    if (auto revision = IfRevision(*flags.rollback)) rollback.request.set_if_revision(*revision);
    options->command = std::move(rollback);
  }
  return "";
}

}  // namespace whence::ctl
