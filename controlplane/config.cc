#include "controlplane/config.h"

#include <CLI/CLI.hpp>
#include <utility>

#include "common/base/command_line.h"
#include "controlplane/inject_flags.h"
#include "controlplane/units.h"

namespace whence::control {
namespace {

constexpr char kExamples[] = R"(Examples:
  whence-control                                          # development: everything on loopback
  whence-control --data-dir /var/lib/whence --listen unix:/run/whence/control.sock
  whence-control --listen-tls :15012 --cert control.crt --key control.key --ca ca.crt
  whence-control --store etcd --etcd-endpoints https://etcd-0:2379,https://etcd-1:2379,https://etcd-2:2379 \
      --etcd-ca etcd-ca.crt --etcd-cert etcd.crt --etcd-key etcd.key   # one of several replicas
  WHENCE_LOG_RETENTION=30d whence-control --log-max-size 50GiB
  whence-control --webhook :9443 --webhook-cert tls.crt --webhook-key tls.key --inject-image registry.example/whence-agent:1

Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.)";

// The flags as written; what they mean is decided in Interpret.
struct Flags {
  std::string data_dir = "./whence-data";
  std::string store = "sqlite", etcd_endpoints, etcd_prefix = "/whence/";
  std::string etcd_ca, etcd_certificate, etcd_key;
  bool etcd_insecure = false;
  std::string listen = "127.0.0.1:15010";
  std::string listen_tls = "none";
  std::string certificate, key, client_ca;
  std::string trust_domain = "whence.local";
  std::string http = "127.0.0.1:15014";
  std::string webhook = "none", webhook_certificate, webhook_key;
  InjectFlags inject;
  bool insecure_bind = false;
  std::string log_retention = "7d";
  std::string log_max_size = "10GiB";
  std::string log_level = "info";
  double admit = 2500;
};

void Declare(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", "whence-control " WHENCE_VERSION);
  app.footer(kExamples);
  auto add = [&app](const char* flag, std::string& value, const char* help) {
    app.add_option(flag, value, help)->capture_default_str();
  };
  add("--data-dir", flags.data_dir, "Where config.db and logs.db are");
  add("--store", flags.store,
      "Where the configuration is: sqlite (config.db), or etcd (several replicas share it; "
      "logs.db stays each one's own)");
  add("--etcd-endpoints", flags.etcd_endpoints, "Its members: http[s]://HOST:PORT,…");
  add("--etcd-prefix", flags.etcd_prefix, "Of every key");
  add("--etcd-ca", flags.etcd_ca,
      "Whose certificates https members have, PEM (default: the system's)");
  add("--etcd-cert", flags.etcd_certificate, "Certificate to show them, PEM");
  add("--etcd-key", flags.etcd_key, "Its private key, PEM");
  app.add_flag("--etcd-insecure", flags.etcd_insecure,
               "Allow http beyond this machine: whoever reaches that etcd rules the policies");
  add("--listen", flags.listen,
      "gRPC, plaintext: IP:PORT, unix:PATH or none (port 0: any free one)");
  add("--listen-tls", flags.listen_tls, "gRPC over TLS: IP:PORT or none");
  add("--cert", flags.certificate, "Certificate chain for --listen-tls, PEM");
  add("--key", flags.key, "Its private key, PEM");
  add("--ca", flags.client_ca,
      "Clients must have a certificate of one of these CAs, PEM; it says who they are");
  add("--trust-domain", flags.trust_domain, "Whose certificates name anybody: spiffe://DOMAIN/…");
  add("--http", flags.http,
      "Metrics, health, and the web console (which answers this machine only): IP:PORT or none");
  app.add_flag("--insecure-bind", flags.insecure_bind,
               "Allow listening beyond this machine without authentication");
  app.add_option("--admit", flags.admit,
                 "How many agents' streams may begin in a second; more are told to come back")
      ->capture_default_str();
  add("--log-retention", flags.log_retention,
      "Access records older than this are dropped (s, m, h, d, w), unless the Mesh says "
      "logRetention");
  add("--log-max-size", flags.log_max_size, "And the oldest beyond this size (MiB, GiB, …)");
  add("--log-level", flags.log_level, "debug, info, warning, error or off");
  add("--webhook", flags.webhook,
      "Injection for Kubernetes, HTTPS, POST /inject an AdmissionReview: IP:PORT or none");
  add("--webhook-cert", flags.webhook_certificate, "Certificate chain for --webhook, PEM");
  add("--webhook-key", flags.webhook_key, "Its private key, PEM");
  DeclareInjectFlags(app, "inject-", flags.inject);
  NameEnvironment(app);
}

std::string Quoted(const std::string& text) { return "\"" + text + "\""; }

// Each of the next returns what is wrong and how to mend it; empty: nothing.
std::string Address(const char* flag, const std::string& text, std::optional<ListenAddress>* out) {
  if (text.empty() || text == "none") return "";
  *out = ListenAddress::Parse(text);
  if (*out) return "";
  return std::string(flag) + " " + Quoted(text) +
         ": give IP:PORT, [IPv6]:PORT, :PORT, unix:PATH or none";
}

std::string Exposed(const char* flag, const std::optional<ListenAddress>& address,
                    const char* lacking) {
  if (!address || address->is_local) return "";
  return std::string(flag) + " " + address->ToString() + " can be reached by others and " +
         lacking + ", or allow it with --insecure-bind";
}

std::string Webhook(const Flags& flags, Config* config) {
  std::optional<ListenAddress> address;
  if (std::string error = Address("--webhook", flags.webhook, &address); !error.empty())
    return error;
  if (!address) {
    return (flags.webhook_certificate + flags.webhook_key).empty()
               ? ""
               : "--webhook-cert and --webhook-key are for --webhook, which is not given";
  }
  if (!address->unix_path.empty()) return "--webhook: give IP:PORT or none";
  if (flags.webhook_certificate.empty() || flags.webhook_key.empty()) {
    return "--webhook needs --webhook-cert and --webhook-key";
  }
  absl::StatusOr<inject::Settings> settings = SettingsOf(flags.inject, "inject-");
  if (!settings.ok()) return std::string(settings.status().message());
  config->webhook = {*address, flags.webhook_certificate, flags.webhook_key, *std::move(settings)};
  return "";
}

std::string Listeners(const Flags& flags, Config* config) {
  std::string error = Address("--listen", flags.listen, &config->listen);
  if (error.empty()) error = Address("--listen-tls", flags.listen_tls, &config->listen_tls);
  if (error.empty()) error = Address("--http", flags.http, &config->http);
  if (!error.empty()) return error;
  if (!config->listen && !config->listen_tls) {
    return "nothing to listen on: give --listen or --listen-tls";
  }
  if (config->http && !config->http->unix_path.empty()) return "--http: give IP:PORT or none";
  config->tls = {flags.certificate, flags.key, flags.client_ca};
  config->trust_domain = flags.trust_domain;
  if (!security::IsTrustDomain(flags.trust_domain)) {
    return "--trust-domain " + Quoted(flags.trust_domain) + ": give a DNS name in lower case";
  }
  if (config->listen_tls && (flags.certificate.empty() || flags.key.empty())) {
    return "--listen-tls needs --cert and --key";
  }
  if (!config->listen_tls && !(flags.certificate + flags.key + flags.client_ca).empty()) {
    return "--cert, --key and --ca are for --listen-tls, which is not given";
  }
  if (flags.insecure_bind) return "";
  error = Exposed("--listen", config->listen,
                  "has no authentication: use 127.0.0.1, unix:PATH or --listen-tls");
  if (error.empty())
    error = Exposed("--http", config->http, "has no authentication: use 127.0.0.1");
  if (error.empty() && flags.client_ca.empty()) {
    error = Exposed("--listen-tls", config->listen_tls, "asks for no certificate: give --ca");
  }
  return error;
}

std::string Store(const Flags& flags, Config* config) {
  const bool names_etcd =
      !(flags.etcd_endpoints + flags.etcd_ca + flags.etcd_certificate + flags.etcd_key).empty();
  if (flags.store == "sqlite") {
    return names_etcd ? "--etcd-… is for --store etcd, which is not given" : "";
  }
  if (flags.store != "etcd") return "--store " + Quoted(flags.store) + ": give sqlite or etcd";
  if (flags.etcd_endpoints.empty()) return "--store etcd needs --etcd-endpoints";
  absl::StatusOr<std::vector<etcd::Endpoint>> endpoints =
      etcd::ParseEndpoints(flags.etcd_endpoints);
  if (!endpoints.ok()) return "--etcd-endpoints: " + std::string(endpoints.status().message());
  absl::StatusOr<std::string> prefix = etcd::ParsePrefix(flags.etcd_prefix);
  if (!prefix.ok()) return "--etcd-prefix: " + std::string(prefix.status().message());
  if (flags.etcd_certificate.empty() != flags.etcd_key.empty()) {
    return "--etcd-cert and --etcd-key belong together";
  }
  for (const etcd::Endpoint& endpoint : *endpoints) {
    if (endpoint.is_tls || endpoint.is_local || flags.etcd_insecure) continue;
    return "--etcd-endpoints " + endpoint.ToString() +
           " would be spoken to without encryption or authentication: use https://, or allow it "
           "with --etcd-insecure";
  }
  config->etcd = etcd::Options{*std::move(endpoints), *std::move(prefix), flags.etcd_ca,
                               flags.etcd_certificate, flags.etcd_key};
  return "";
}

std::string Interpret(const Flags& flags, Config* config) {
  if (flags.data_dir.empty()) return "--data-dir is empty: give a directory";
  config->data_dir = flags.data_dir;
  if (std::string error = Store(flags, config); !error.empty()) return error;
  std::optional<std::chrono::seconds> retention = ParseDuration(flags.log_retention);
  if (!retention || retention->count() == 0) {
    return "--log-retention " + Quoted(flags.log_retention) + ": give a duration such as 7d or 12h";
  }
  config->log_retention = *retention;
  std::optional<uint64_t> size = ParseSize(flags.log_max_size);
  if (!size || *size == 0) {
    return "--log-max-size " + Quoted(flags.log_max_size) + ": give a size such as 10GiB";
  }
  config->log_max_bytes = *size;
  // Written so that no number at all is refused as well.
  if (!(flags.admit >= 1 && flags.admit <= 1e6)) return "--admit: give 1 to 1000000 a second";
  config->admit_per_second = flags.admit;
  std::optional<log::Level> level = log::ParseLevel(flags.log_level);
  if (!level) {
    return "--log-level " + Quoted(flags.log_level) + ": give debug, info, warning, error or off";
  }
  config->log_level = *level;
  if (std::string error = Webhook(flags, config); !error.empty()) return error;
  return Listeners(flags, config);
}

}  // namespace

CommandLine ParseCommandLine(int argc, const char* const* argv) {
  CLI::App app(
      "The control plane of Whence: keeps who is trusted and who may enter, streams it to "
      "agents, and stores what they report.",
      "whence-control");
  Flags flags;
  Declare(app, flags);
  CommandLine result;
  std::string error;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.out = app.help();
    return result;
  } catch (const CLI::CallForVersion&) {
    result.out = app.version() + "\n";
    return result;
  } catch (const CLI::Error& wrong) {
    error = UsageError(app, wrong.what());
  }
  Config config;
  if (error.empty()) error = NameVariables(app, Interpret(flags, &config));
  if (error.empty()) {
    result.config = std::move(config);
  } else {
    result.exit_code = 2;
    result.error = "whence-control: " + error + " (see whence-control --help)";
  }
  return result;
}

}  // namespace whence::control
