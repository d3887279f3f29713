// Text from the network on its way into the database and out again.
//
// Paths, hosts and forwarded headers are whatever bytes a stranger sent: invalid UTF-8, terminal
// escapes, overrides of the writing direction. Stored raw they would run in the terminal of whoever
// reads the log. So they are stored as printable UTF-8 with everything else escaped, reversibly:
//
//   a backslash                                   \\      (two of them)
//   a byte of a control or of invalid UTF-8       \xHH    one per byte, upper case
//   the end of text that was cut                  \+N     N more bytes were not kept
//
//   "/a\n\xff"  ->  /a\x0A\xFF
//
// Controls are C0, DEL, C1, line and paragraph separators, and the invisible characters that change
// the direction of text (Unicode Bidi_Control) or hide in it.
//
// Pure.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_TEXT_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace whence::access_log {

// Keeps at most `max_bytes` of `bytes`, counted before escaping (which makes at most four of one).
std::string Escape(std::string_view bytes, size_t max_bytes);

// Whether Escape would give the same: printable ASCII without backslashes, and not too long.
bool IsPlain(std::string_view bytes, size_t max_bytes);

// The bytes that Escape was given, as far as they were kept. Text that Escape did not make comes
// back as well as it can be understood.
std::string Unescape(std::string_view text);

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_TEXT_H_
