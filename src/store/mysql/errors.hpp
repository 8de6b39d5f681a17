// What the numbers of MySQL, MariaDB and their client library mean: for whoever asked, and for the connection. Pure.
#pragma once

#include <string>
#include <string_view>

#include "store/sql/database.hpp"

namespace gatehouse::store::mysql {

/// What an error leaves behind; the later, the worse.
enum class Aftermath {
  nothing,    ///< there was none
  refused,    ///< the statement did nothing; connection and transaction stand
  no_match,   ///< a comparison with a text that the column's character set cannot hold: as good as no row
  deadlock,   ///< the transaction was rolled back, and may be run again
  stale,      ///< the prepared statement no longer fits the tables: to be prepared again
  read_only,  ///< this host does not write (any more); another one may
  suspect,    ///< nobody knows: the connection is not to be used again
  lost,       ///< the connection is gone, and what it was doing may or may not be done
  silent,     ///< lost, for want of an answer in time: the host is in doubt, too
};

struct Meaning {
  sql::Problem problem = sql::Problem::unavailable;
  Aftermath aftermath = Aftermath::suspect;
};

[[nodiscard]] Meaning meaning_of(int number);

/// Whether a server that refuses a connection with this error is up, and only has no room for it.
[[nodiscard]] bool is_full(int number);

/// The error in words for the log: the server's, less what a visitor may have typed ("Duplicate entry 'bob' for key
/// …").
[[nodiscard]] std::string words_for(int number, std::string_view message);

}  // namespace gatehouse::store::mysql
