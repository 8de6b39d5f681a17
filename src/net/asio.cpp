// Boost.Asio compiled once (BOOST_ASIO_SEPARATE_COMPILATION), so that every other file only declares it.
#include <utility>

#include <boost/asio/impl/src.hpp>
