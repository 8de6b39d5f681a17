// The sections of the file, one function and one .cpp each. Each takes the map that its keys stand in, asks for every
// key and leaves the defaults where the file is silent. What needs two sections to judge is in validate.cpp.
#pragma once

#include "config/config.hpp"
#include "config/section.hpp"

namespace gatehouse::config {

void read_server(Section& root, Config& config);  ///< listen*, socket, threads, csrf, trusted_proxies, admin, log
void read_store(Section& root, Store& store);
void read_session(Section& root, Session& session);
void read_identity(Section& root, Identity& identity);
void read_downstreams(Section& root, std::map<std::string, Downstream>& downstreams);
void read_routes(Section& root, std::vector<policy::Route>& routes);
void read_login(Section& root, Config& config);  ///< endpoints, login, logout

/// Refuses combinations that cannot work and warns of those that hardly can.
void validate(Reading& reading, const Config& config);
/// Refuses what this version does not serve yet.
void refuse_unserved(Reading& reading, const Config& config);

}  // namespace gatehouse::config
