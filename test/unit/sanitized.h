// Built with AddressSanitizer or ThreadSanitizer: programs run several times slower and bring an operator new of their
// own. Tests that repeat one thing many times repeat it less there; the plain build does the whole.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MOEC_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MOEC_SANITIZED 1
#endif
#endif
#ifndef MOEC_SANITIZED
#define MOEC_SANITIZED 0
#endif

namespace moec {
inline constexpr bool kSanitized = MOEC_SANITIZED;
} // namespace moec
