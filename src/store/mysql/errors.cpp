// One table, ordered by what we make of it. The names are those of mysqld_error.h and errmsg.h, which differ between
// MySQL and MariaDB in more than the numbers used here.
#include "store/mysql/errors.hpp"

namespace gatehouse::store::mysql {

using sql::Problem;

Meaning meaning_of(int number) {
  switch (number) {
    case 1022:  // dup key
    case 1062:  // dup entry
    case 1586:  // dup entry, with the key's name
      return {Problem::duplicate, Aftermath::refused};

    case 1216:  // no referenced row
    case 1452: return {Problem::missing_reference, Aftermath::refused};
    case 1217:  // row is referenced
    case 1451: return {Problem::still_referenced, Aftermath::refused};

    case 1048:  // column cannot be null
    case 1264:  // out of range
    case 1265:  // data truncated
    case 1292:  // truncated wrong value
    case 1300:  // invalid character string
    case 1364:  // no default for field
    case 1366:  // truncated wrong value for field
    case 1406:  // data too long
    case 1411:  // wrong value for type
    case 1690:  // data out of range
    case 3140:  // invalid JSON text
    case 3819:  // check constraint (MySQL)
    case 4025:  // check constraint (MariaDB)
      return {Problem::bad_value, Aftermath::refused};

    case 1049:  // unknown database
    case 1050:  // table exists
    case 1054:  // unknown column
    case 1146:  // no such table
    case 1932:  // no such table in the engine
      return {Problem::missing_table, Aftermath::refused};

    case 1205:  // lock wait timeout: took back the statement alone, the transaction is still open
    case 1969:  // MariaDB: max_statement_time. A lock that a statement waited for ends so, too.
    case 3024:  // MySQL: max_execution_time
    case 3572:  // NOWAIT
      return {Problem::locked, Aftermath::refused};
    case 1213: return {Problem::locked, Aftermath::deadlock};

    case 1267:  // illegal mix of collations, of two, three or more
    case 1270:
    case 1271:
    case 3988:  // MySQL: conversion between character sets
      return {Problem::bad_value, Aftermath::no_match};

    case 1461:  // too many prepared statements on this server, whoever has them
      return {Problem::unavailable, Aftermath::stale};
    case 1243:  // unknown prepared statement
    case 1615:  // needs to be prepared again
    case 2030:  // the client's: not prepared
    case 2057:  // the client's: the columns are others than when it was prepared
      return {Problem::internal, Aftermath::stale};

    case 1290:  // --read-only
    case 1792:  // read-only transaction
    case 1836:  // read-only mode
      return {Problem::read_only, Aftermath::read_only};
    case 1036:  // this table is read-only
      return {Problem::read_only, Aftermath::refused};
    case 1142:  // this user may not write (or read) this table
    case 1143:  // nor this column; and what is granted meanwhile, only a new connection has
    case 3:     // error writing file
    case 28:    // no space left on device
    case 1020:  // record has changed
    case 1021:  // disk full
    case 1026:  // error on write
    case 1041:  // out of resources
    case 1114:  // table full
      return {Problem::read_only, Aftermath::suspect};

    case 1047:  // unknown command: what a Galera node out of its cluster says to everything
    case 1053:  // shutdown in progress
    case 1152:  // aborted connection
    case 1153:  // packet too large
    case 1158:  // network
    case 1159:
    case 1160:
    case 1161:
    case 1184:
    case 1317:  // interrupted: a KILL, or the shutdown
    case 1927:  // connection was killed
    case 2006:  // gone away
    case 2013:  // lost
    case 2055:
    case 3169:  // session was killed (MySQL)
    case 4031:  // disconnected for inactivity (MySQL)
      return {Problem::unavailable, Aftermath::lost};

    case 0:     // the driver's own refusal: a column of a type that it cannot read
    case 1064:  // syntax
    case 1149:
    case 1210:  // wrong arguments
    case 1052:  // ambiguous column
    case 1093:  // the target table in FROM
    case 1136:  // number of columns and values
    case 1235:  // not supported
    case 1305:  // no such function
      return {Problem::internal, Aftermath::suspect};

    default: return {Problem::unavailable, Aftermath::suspect};
  }
}

bool is_full(int number) {
  switch (number) {
    case 1040:  // too many connections
    case 1129:  // too many failed connections from this machine
    case 1203:  // too many connections of this user
    case 1226:  // this user has used up what it may
      return true;
    default: return false;
  }
}

namespace {

/// The part of a message that follows what was typed: "Duplicate entry '…' for key 'username'".
std::string_view after_value(std::string_view message) {
  for (const std::string_view mark : {" for key ", " for column "}) {
    if (const auto at = message.rfind(mark); at != std::string_view::npos) return message.substr(at + 1);
  }
  return "";
}

std::string_view without_value(int number, std::string_view message) {
  switch (number) {
    case 1022:
    case 1062:
    case 1586:
    case 1265:
    case 1292:
    case 1300:
    case 1366:
    case 1411:
    case 1690:
    case 3140: return after_value(message);
    default: return message;
  }
}

}  // namespace

std::string words_for(int number, std::string_view message) {
  return "MySQL: error " + std::to_string(number) + ": " + std::string(without_value(number, message));
}

}  // namespace gatehouse::store::mysql
