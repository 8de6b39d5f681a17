# The contract of auth/store.hpp over every store that needs no server.
gatehouse_test(contract_store SOURCES store_contract_test.cpp LINKS gatehouse_store PkgConfig::sqlite3 LABELS contract)
