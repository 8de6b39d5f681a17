gatehouse_test(contract_fastcgi
  SOURCES fastcgi_server_test.cpp listener_test.cpp fastcgi_libfcgi_test.cpp
  LINKS gatehouse_fastcgi PkgConfig::fcgi fmt::fmt LABELS contract)
gatehouse_test(contract_relay
  SOURCES fastcgi_relay_test.cpp fastcgi_relay_time_test.cpp
  LINKS gatehouse_relay LABELS contract)
