// The words every waiting part of Gatehouse uses: a coroutine is a Task, a point to give up at is a Deadline.
#pragma once

#include <utility>  // Boost 1.74's awaitable.hpp uses std::exchange without including it

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <expected>
#include <string_view>

namespace gatehouse::net {

namespace asio = boost::asio;

template <typename T = void>
using Task = asio::awaitable<T>;

/// Steady time at which waiting ends. Passed as a value from accept to the last read.
using Deadline = std::chrono::steady_clock::time_point;

[[nodiscard]] inline Deadline after(std::chrono::milliseconds span) {
  return std::chrono::steady_clock::now() + span;
}

/// Why bytes did not move. None of them is an end of a body: that is a read of 0 bytes.
enum class StreamError {
  closed,     ///< the peer went away or aborted the request
  deadline,   ///< not one byte moved before the deadline
  malformed,  ///< the peer broke the protocol
};
[[nodiscard]] constexpr std::string_view name(StreamError error) {
  switch (error) {
    case StreamError::closed: return "closed";
    case StreamError::deadline: return "deadline";
    case StreamError::malformed: return "malformed";
  }
  return "unknown";
}

template <typename T>
using IoResult = std::expected<T, StreamError>;

}  // namespace gatehouse::net
