// Lucia's tables as its documentation gives them, with some columns of an application's own: for stores that read and
// write them in place.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "contract/store_contract.hpp"
#include "store/table_names.hpp"

namespace gatehouse::contract {

enum class LuciaVersion { v1, v2 };

/// How an engine spells the types of the documentation.
struct LuciaTypes {
  std::string user_id;
  std::string session_id;
  std::string key_id;
  std::string text;  ///< of the application's columns
};

inline std::vector<std::string> lucia_tables_ddl(LuciaVersion version, const LuciaTypes& types) {
  const bool v1 = version == LuciaVersion::v1;
  const std::string user = v1 ? "auth_user" : "people";
  const std::string session = v1 ? "auth_session" : "people_session";
  const std::string key = v1 ? "auth_key" : "people_key";
  const std::string single_use = v1 ? "primary_key INTEGER NOT NULL, expires BIGINT, " : "";
  return {
      "CREATE TABLE " + user + " (id " + types.user_id + " NOT NULL PRIMARY KEY, username " + types.text +
          " NOT NULL UNIQUE, name " + types.text + ", email " + types.text + ", roles " + types.text +
          ", disabled INTEGER, created_at " + types.text + ", city " + types.text + ", team " + types.text + ")",
      "CREATE TABLE " + session + " (id " + types.session_id + " NOT NULL PRIMARY KEY, user_id " + types.user_id +
          " NOT NULL, active_expires BIGINT NOT NULL, idle_expires BIGINT NOT NULL, country " + types.text + ", note " +
          types.text + ", FOREIGN KEY (user_id) REFERENCES " + user + " (id))",
      "CREATE TABLE " + key + " (id " + types.key_id + " NOT NULL PRIMARY KEY, user_id " + types.user_id +
          " NOT NULL, hashed_password VARCHAR(255), " + single_use + "FOREIGN KEY (user_id) REFERENCES " + user +
          " (id))",
  };
}

inline store::TableSchema schema_of(LuciaVersion version) {
  return version == LuciaVersion::v1 ? store::TableSchema::lucia_v1 : store::TableSchema::lucia_v2;
}
inline store::TableNames names_of(LuciaVersion version) {
  if (version == LuciaVersion::v1) return {"auth_user", "auth_key", "auth_session"};
  return {"people", "people_key", "people_session"};
}

class LuciaHarness : public StoreHarness {
 public:
  explicit LuciaHarness(LuciaVersion version) : version_(version) {}

  /// What another program writes: a bare connection of the engine's.
  virtual void run(const std::string& sql) = 0;

  [[nodiscard]] LuciaVersion version() const { return version_; }
  [[nodiscard]] store::TableNames names() const { return names_of(version_); }

  [[nodiscard]] SessionRow kept(SessionRow row) const override {
    row.family = row.id.text();
    row.created_at = {};
    row.parent.reset();
    row.last_used_at = {};
    row.address.clear();
    row.device.clear();
    return row;
  }
  [[nodiscard]] User kept(User row) const override {
    row.created_at = {};
    row.attributes.emplace("created_at", "");
    return row;
  }

 private:
  const LuciaVersion version_;
};

}  // namespace gatehouse::contract
