#include "controlplane/ctl/inject_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "common/inject/injector.h"
#include "common/inject/yaml_text.h"
#include "controlplane/ctl/text.h"

namespace whence::ctl {
namespace {

namespace fs = std::filesystem;

// Larger than any manifest that a person wrote.
constexpr uintmax_t kMaxFileBytes = 64 << 20;

struct Manifest {
  std::string name;
  std::string text;
};

bool IsManifest(const fs::path& path) {
  const std::string ending = path.extension();
  return ending == ".yaml" || ending == ".yml" || ending == ".json";
}

// One line that says what is wrong; empty: read.
std::string ReadFile(const fs::path& path, std::vector<Manifest>* manifests) {
  std::error_code error;
  if (const uintmax_t size = fs::file_size(path, error); !error && size > kMaxFileBytes) {
    return path.string() + ": larger than 64 MiB";
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad()) return path.string() + ": " + std::strerror(errno);
  manifests->push_back({path.string(), std::move(text)});
  return "";
}

std::string ReadPath(const std::string& path, std::istream& input,
                     std::vector<Manifest>* manifests) {
  if (path == "-") {
    manifests->push_back({"-", {std::istreambuf_iterator<char>(input), {}}});
    return "";
  }
  std::error_code error;
  if (!fs::is_directory(path, error)) return ReadFile(path, manifests);
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (IsManifest(entry.path())) files.push_back(entry.path());
  }
  if (error) return path + ": " + error.message();
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    if (std::string wrong = ReadFile(file, manifests); !wrong.empty()) return wrong;
  }
  return "";
}

void PrintTopologies(const std::vector<inject::Json>& topologies, std::ostream& err) {
  for (const inject::Json& topology : topologies) {
    err << "note: gatewayTopology is a document of its own here; apply it with whencectl apply "
           "-f:\n"
        << "---\n";
    for (const auto& [key, value] : topology.items()) err << inject::BlockEntry(key, value, 0);
  }
}

// Whether all was well.
bool InjectOne(const InjectOptions& options, const Manifest& manifest, std::string* text,
               std::ostream& err) {
  const inject::Result result = options.undo ? inject::Uninject(manifest.text)
                                             : inject::Inject(manifest.text, options.settings);
  const auto print = [&](const char* level, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) {
      err << Escape(level + manifest.name + ": " + line) << "\n";
    }
  };
  print("note: ", result.notes);
  print("warning: ", result.warnings);
  print("", result.faults);
  PrintTopologies(result.trust_topologies, err);
  *text = result.text;
  return result.faults.empty();
}

}  // namespace

void DeclareInject(CLI::App& app, InjectOptions* inject, InjectOptions* uninject) {
  CLI::App* const in = app.add_subcommand(
      "inject", "Print manifests with the agent beside every pod of theirs; asks no control plane");
  in->footer(
      R"(Annotations of the pod win over flags: whence.dev/inject, interception-mode, include-inbound-ports,
exclude-inbound-ports, on-exit, sysctls, native-sidecar, rewrite-probes, image, control-plane, certs-secret, cpu,
cpu-limit, memory, memory-limit; and Istio's sidecar.istio.io/inject, interceptionMode, rewriteAppHTTPProbers,
nativeSidecar, traffic.sidecar.istio.io/{include,exclude}InboundPorts, proxy.istio.io/config (gatewayTopology).

Examples:
  whencectl inject -f deployment.yaml | kubectl apply -f -
  kubectl get deployment web -o yaml | whencectl inject -f - | kubectl apply -f -
  whencectl inject -f manifests/ --exclude-inbound-ports 9090 > injected.yaml)");
  CLI::App* const out =
      app.add_subcommand("uninject", "Print manifests as they were before inject");
  out->footer(
      "Example:\n  kubectl get deployment web -o yaml | whencectl uninject -f - | kubectl apply -f "
      "-");
  for (const auto& [command, options] : {std::pair(in, inject), {out, uninject}}) {
    command->add_option("-f,--file", options->files, "File, directory or - (may be repeated)")
        ->required();
  }
  uninject->undo = true;
  control::DeclareInjectFlags(*in, "", inject->flags);
}

std::string InterpretInject(InjectOptions* options) {
  absl::StatusOr<inject::Settings> settings = control::SettingsOf(options->flags, "");
  if (!settings.ok()) return std::string(settings.status().message());
  options->settings = *std::move(settings);
  return "";
}

int RunInject(const InjectOptions& options, std::istream& input, std::ostream& out,
              std::ostream& err) {
  std::vector<Manifest> manifests;
  bool good = true;
  for (const std::string& path : options.files) {
    const std::string wrong = ReadPath(path, input, &manifests);
    if (wrong.empty()) continue;
    err << Escape("whencectl: " + wrong) << "\n";
    good = false;
  }
  std::string whole;
  for (const Manifest& manifest : manifests) {
    std::string text;
    good = InjectOne(options, manifest, &text, err) && good;
    // Files become documents of one stream.
    if (!whole.empty() && text.rfind("---", 0) != 0) whole += "---\n";
    whole += text;
    if (!text.empty() && text.back() != '\n') whole += '\n';
  }
  if (!good) {
    err << "whencectl: nothing was printed\n";
    return 1;
  }
  out << whole;
  return 0;
}

}  // namespace whence::ctl
