// The connections of one engine: at most so many, to the first host that can be used. Reads and writes go to the same
// host, so that a read sees the write before it.
//
// Which host: the first that answers and can be written; if there is none, the first that answers. An earlier one is
// gone back to when it is as it should be again, and not before MySqlOptions::fail_back_after. What a host has done
// wrong is kept in its Breaker. No thread of its own: whoever needs a connection makes it, or probes a host.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/mysql/breaker.hpp"
#include "store/mysql/connection.hpp"
#include "store/mysql/mysql_options.hpp"
#include "store/mysql/news.hpp"

namespace gatehouse::store::mysql {

enum class Purpose { read, write };

class Hosts;

/// One of the connections that may be there at the same time.
class Slot {
 public:
  Slot(Hosts& owner, Purpose purpose) : owner_(&owner), purpose_(purpose) {}
  ~Slot();  ///< gives it back
  Slot(Slot&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), purpose_(other.purpose_) {}
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  Slot& operator=(Slot&&) = delete;

  [[nodiscard]] Hosts* owner() const { return owner_; }
  [[nodiscard]] Purpose purpose() const { return purpose_; }
  /// Somebody else has given it back.
  void forget() { owner_ = nullptr; }

 private:
  Hosts* owner_;
  Purpose purpose_;
};

/// A connection, how long it is to be used and since when it has rested.
struct Pooled {
  std::unique_ptr<Connection> connection;
  Deadline expires;
  Deadline rests_since = {};
};

/// A connection lent to one caller, who says that it is in order or else it is closed. Confined to one thread.
class Lease {
 public:
  Lease(Slot slot, std::size_t host, Pooled pooled) : slot_(std::move(slot)), host_(host), pooled_(std::move(pooled)) {}
  Lease(Lease&&) noexcept = default;
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Lease& operator=(Lease&&) = delete;

  [[nodiscard]] Connection& connection() const { return *pooled_.connection; }
  /// Which of MySqlOptions::hosts it leads to.
  [[nodiscard]] std::size_t host() const { return host_; }
  /// No transaction is open: it may be used again if nothing else speaks against it.
  void set_in_order() { is_in_order_ = true; }

 private:
  Slot slot_;
  std::size_t host_;
  Pooled pooled_;
  bool is_in_order_ = false;
};

/// Thread-safe.
class Hosts {
 public:
  /// Opens nothing.
  explicit Hosts(MySqlOptions options);
  /// Requires that nothing is lent.
  ~Hosts();
  Hosts(const Hosts&) = delete;
  Hosts& operator=(const Hosts&) = delete;

  /// Lends a connection; waits for one at most MySqlOptions::acquire_timeout, and tries hosts until `deadline`.
  /// Fails with what the first host failed with; read_only if some answer, but none can be written; unavailable as soon
  /// as a host is full, for that one is not down.
  [[nodiscard]] sql::SqlResult<Lease> acquire(Purpose purpose, Deadline deadline);

  [[nodiscard]] const MySqlOptions& options() const { return options_; }

 private:
  friend class Slot;
  friend class Lease;

  struct State {
    explicit State(std::uint64_t seed) : breaker(seed) {}
    Breaker breaker;
    News news;
    sql::SqlError last_error;
    Deadline read_only_until = {};  ///< it was; before this it is not asked again
    std::vector<Pooled> idle;       ///< the last one was used last
  };

  /// How many may be lent at the same time: writers that wait for a lock must leave some to the readers.
  [[nodiscard]] std::size_t limit_for(Purpose purpose) const;
  [[nodiscard]] std::optional<Slot> take_slot(Purpose purpose, Deadline until);
  /// Requires mutex_.
  void put_back(const Slot& slot);
  /// The order in which to try.
  [[nodiscard]] std::vector<std::size_t> candidates();
  /// One that was used before, or a new one. Fails at once if the host is to be left alone.
  [[nodiscard]] sql::SqlResult<Pooled> connection_to(std::size_t host, Deadline deadline);
  [[nodiscard]] std::optional<Pooled> take_idle(std::size_t host);
  [[nodiscard]] bool is_alive(std::size_t host, Pooled& pooled, Deadline deadline);
  [[nodiscard]] sql::SqlResult<Pooled> connect(std::size_t host);
  [[nodiscard]] bool is_writable(std::size_t host, Connection& connection, Purpose purpose, Deadline deadline);
  void set_current(std::size_t host);

  void give_back(Slot slot, std::size_t host, Pooled pooled, bool is_in_order);
  /// Draws the conclusions for the host from what happened to a connection.
  void note(std::size_t host, Aftermath trouble);
  void note_failure(std::size_t host, const sql::SqlError& error, Breaker::Failure failure, bool is_probe);
  void note_success(std::size_t host);
  void note_read_only(std::size_t host);
  void tell(std::size_t host, News::Topic topic, const std::string& detail);

  const MySqlOptions options_;

  std::mutex mutex_;
  std::condition_variable is_back_;
  // Guarded by mutex_:
  std::vector<State> hosts_;
  std::size_t current_ = 0;     ///< the host in use
  Deadline fail_back_at_ = {};  ///< when those before it may be tried again
  std::size_t slots_taken_ = 0;
  std::size_t slots_for_writes_ = 0;  ///< of these
};

}  // namespace gatehouse::store::mysql
