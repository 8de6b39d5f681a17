gatehouse_test(contract_http
  SOURCES http_server_test.cpp
  LINKS gatehouse_httpd LABELS contract)
