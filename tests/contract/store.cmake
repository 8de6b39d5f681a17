# The contract of auth/store.hpp over every store that needs no server.
gatehouse_test(contract_store SOURCES store_contract_test.cpp LINKS gatehouse_store PkgConfig::sqlite3 LABELS contract)
# What the SQLite store makes of a file that fails: a program of its own, for it replaces the process's VFS.
gatehouse_test(contract_sqlite_faults SOURCES sqlite_faults_test.cpp LINKS gatehouse_store PkgConfig::sqlite3 LABELS contract)
# The MySQL engine on a MariaDB of the test's own: units of work, connections, hosts that fail.
pkg_check_modules(mariadb REQUIRED IMPORTED_TARGET libmariadb)
gatehouse_test(contract_mysql_engine SOURCES mysql_engine_test.cpp mysql_hosts_test.cpp mariadb_server.cpp
  LINKS gatehouse_store PkgConfig::mariadb LABELS contract)
# The contract of auth/store.hpp over a MariaDB, on our tables and on Lucia's.
gatehouse_test(contract_mysql_store SOURCES mysql_store_contract_test.cpp mariadb_server.cpp
  LINKS gatehouse_store PkgConfig::mariadb LABELS contract)
