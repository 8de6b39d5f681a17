#include "store/mysql/parameters.hpp"

#include <charconv>

namespace gatehouse::store::mysql {

Translated translate(std::string_view sql) {
  Translated made;
  made.sql.reserve(sql.size());
  char quote = '\0';
  for (std::size_t i = 0; i < sql.size(); ++i) {
    const char c = sql[i];
    made.sql += c;
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '"' || c == '\'' || c == '`') {
      quote = c;
    } else if (c == '?') {
      std::size_t number = 0;
      const char* begin = sql.data() + i + 1;
      const auto [end, error] = std::from_chars(begin, sql.data() + sql.size(), number);
      if (error != std::errc{} || number == 0) continue;
      made.order.push_back(number - 1);
      i += static_cast<std::size_t>(end - begin);
    }
  }
  return made;
}

}  // namespace gatehouse::store::mysql
