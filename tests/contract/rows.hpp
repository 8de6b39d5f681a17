// Everything that a store holds, as one value: for tests that compare before and after.
#pragma once

#include <algorithm>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "auth/store.hpp"

namespace gatehouse::contract {

struct Rows {
  std::vector<auth::User> users;
  std::vector<auth::Key> keys;
  std::vector<auth::SessionRow> sessions;
  std::vector<auth::RotatedRow> rotated;

  bool operator==(const Rows&) const = default;
};

inline void PrintTo(const Rows& rows, std::ostream* out) {
  *out << rows.users.size() << " users, " << rows.keys.size() << " keys, sessions:";
  for (const auth::SessionRow& row : rows.sessions) *out << " " << row.id.text().substr(0, 8) << " of " << row.user_id;
  *out << ", rotated:";
  for (const auth::RotatedRow& row : rows.rotated) *out << " " << row.id.text().substr(0, 8);
}

/// Reads all rows of one store through the port. The port cannot list rotated ids, so those are found that were live
/// when this looked before, and those it was told of.
class RowReader {
 public:
  explicit RowReader(auth::Store& store) : store_(store) {}

  void expect(const auth::SessionId& id) { ids_.insert(id); }

  [[nodiscard]] Rows read() {
    Rows rows{*store_.all_users(), {}, *store_.all_sessions(), {}};
    for (const auth::User& user : rows.users) {
      auto keys = *store_.keys_of_user(user.id);
      std::ranges::sort(keys, {}, &auth::Key::id);
      rows.keys.insert(rows.keys.end(), keys.begin(), keys.end());
    }
    for (const auth::SessionRow& row : rows.sessions) ids_.insert(row.id);
    for (const auth::SessionId& id : ids_) {
      if (auto row = *store_.find_rotated(id)) rows.rotated.push_back(std::move(*row));
    }
    return rows;
  }

 private:
  auth::Store& store_;
  std::set<auth::SessionId> ids_;
};

}  // namespace gatehouse::contract
