#include "dataplane/proxy/error_response.h"

#include "common/http/head_writer.h"

namespace whence::proxy {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 417:
      return "Expectation Failed";
    case 418:
      return "I'm a teapot";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return status < 400 ? "Status" : "Error";
  }
}

size_t WriteErrorResponse(const ErrorResponse& response, std::span<char> out) {
  http::HeadWriter writer(out);
  const std::string_view body = response.body.substr(0, kMaxErrorBody);
  writer.StatusLine(response.status, ReasonPhrase(response.status));
  writer.Field("content-length", body.size());
  writer.Field("content-type", "text/plain");
  if (!response.date.empty()) writer.Field("date", response.date);
  if (response.close) writer.Field("connection", "close");
  writer.End();
  if (!response.head) writer.Raw(body);
  return writer.written().size();
}

}  // namespace whence::proxy
