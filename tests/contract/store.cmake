# The contract of auth/store.hpp over every store that needs no server.
gatehouse_test(contract_store SOURCES store_contract_test.cpp LINKS gatehouse_store PkgConfig::sqlite3 LABELS contract)
# What the SQLite store makes of a file that fails: a program of its own, for it replaces the process's VFS.
gatehouse_test(contract_sqlite_faults SOURCES sqlite_faults_test.cpp LINKS gatehouse_store PkgConfig::sqlite3 LABELS contract)
