// Protobuf's own header, as the packaged library was compiled: under ThreadSanitizer it would give maps
// two more members, which that library does not know of. Found before the real one by the tsan preset only.
#include <cstddef>  // libstdc++ looks at the macro as well, and first

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include_next <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
