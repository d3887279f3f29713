#include "controlplane/webhook/webhook.h"

#include <exception>

#include "absl/strings/str_cat.h"
#include "controlplane/webhook/admission.h"

namespace whence::webhook {
namespace {

bool IsJson(std::string_view content_type) {
  return content_type.substr(0, content_type.find(';')) == "application/json";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Webhook>> Webhook::Start(const WebhookConfig& config,
                                                        const log::Logger& logger) {
  absl::StatusOr<ServerCertificate> certificate =
      ServerCertificate::Load(config.certificate, config.key, logger);
  if (!certificate.ok()) return certificate.status();
  std::unique_ptr<Webhook> webhook(new Webhook(config.settings, logger));
  absl::StatusOr<std::unique_ptr<HttpsServer>> server = HttpsServer::Start(
      config.address, *std::move(certificate), HttpsLimits{},
      [raw = webhook.get()](const HttpRequest& request) { return raw->Handle(request); });
  if (!server.ok()) return server.status();
  webhook->server_ = *std::move(server);
  return webhook;
}

HttpResponse Webhook::Handle(const HttpRequest& request) {
  // The API server adds its timeout as a query.
  const std::string path = request.target.substr(0, request.target.find('?'));
  HttpResponse response;
  if (path == "/healthz") {
    response.body = "ok\n";
  } else if (path != "/inject") {
    response = {.status = 404, .body = "POST an AdmissionReview to /inject\n"};
  } else if (request.method != "POST") {
    response = {.status = 405, .body = "POST an AdmissionReview\n"};
  } else if (!IsJson(request.content_type)) {
    response = {.status = 415, .body = "send application/json\n"};
  } else {
    response = Inject(request);
  }
  if (response.status != 200) ++bad_requests_;
  return response;
}

HttpResponse Webhook::Inject(const HttpRequest& request) {
  absl::StatusOr<Answer> answer = absl::InternalError("");
  try {  // the JSON library throws where a type is not the expected one; none is known to get here
    answer = Review(request.body, settings_);
  } catch (const std::exception& error) {
    logger_.Error("review failed", {{"why", error.what()}});
    return {.status = 500, .body = "failed\n"};
  }
  if (!answer.ok()) {
    return {.status = 400, .body = absl::StrCat(answer.status().message(), "\n")};
  }
  switch (answer->outcome) {
    case Outcome::kInjected:
      ++injected_;
      logger_.Info("pod injected", {{"pod", answer->about}});
      break;
    case Outcome::kLeftAlone:
      ++left_alone_;
      logger_.Debug("pod left alone", {{"pod", answer->about}});
      break;
    case Outcome::kRefused:
      ++refused_;
      logger_.Warning("pod refused", {{"pod", answer->about}, {"why", answer->why}});
      break;
  }
  return {.content_type = "application/json", .body = answer->body};
}

void Webhook::Collect(metrics::TextWriter& out) const {
  out.Counter("whence_control_webhook_reviews_total", "Admission reviews answered, by outcome.");
  out.Sample(injected_.load(), {{"outcome", "injected"}});
  out.Sample(left_alone_.load(), {{"outcome", "left_alone"}});
  out.Sample(refused_.load(), {{"outcome", "refused"}});
  out.Counter("whence_control_webhook_bad_requests_total",
              "Requests to the webhook that were no admission reviews.");
  out.Sample(bad_requests_.load());
  out.Counter("whence_control_webhook_accept_pauses_total",
              "Times that the webhook put off accepting, for lack of descriptors or memory.");
  out.Sample(server_->accept_pauses());
}

}  // namespace whence::webhook
