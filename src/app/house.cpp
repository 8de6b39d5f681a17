#include "app/house.hpp"

#include <utility>

#include "config/load.hpp"
#include "store/open.hpp"

namespace gatehouse::app {

namespace {

/// Names of the sections that only a restart can change, where they differ.
std::string changes_that_need_a_restart(const config::Config& old, const config::Config& now) {
  std::string out;
  const auto note = [&out](bool differs, std::string_view name) {
    if (differs) out += (out.empty() ? "" : " ") + std::string(name);
  };
  note(old.listen != now.listen, "listen");
  note(old.listen_http != now.listen_http, "listen_http");
  note(old.socket != now.socket, "socket");
  note(old.threads != now.threads, "threads");
  note(old.store != now.store, "store");
  note(old.admin_listen != now.admin_listen, "admin");
  note(old.login.max_hashes != now.login.max_hashes || old.login.hash_queue != now.login.hash_queue, "login.hashes");
  return out;
}

}  // namespace

House::House(config::Config config, const PoolSizes& sizes)
    : config_(std::move(config)),
      log_(log_level(config_.log.level), log_format(config_.log.format)),
      events_(log_),
      store_(make_store(config_.store, [this](const store::HostNews& news) { report_host(news); })),
      read_pool_(sizes.store_threads, sizes.pending_store_calls),
      write_pool_(sizes.store_threads, sizes.pending_store_calls),
      hash_pool_(sizes.hashes, sizes.pending_hashes) {}

std::expected<void, std::string> House::open() {
  auto settings = make_settings(config_, foundation());
  if (!settings) return std::unexpected(std::move(settings.error()));
  gateway_ = std::make_unique<gateway::Gateway>(
      gateway::World{log_, read_pool_, write_pool_, hash_pool_, throttle_, last_uses_, random_, store_failures_},
      std::move(*settings));
  return {};
}

void House::reload() {
  auto loaded = config::load(config_.file);
  if (!loaded) {
    std::vector<std::string> problems;
    for (const config::Problem& problem : loaded.error()) problems.push_back(problem.message());
    return refuse_reload(problems);
  }
  const config::Config& next = loaded->config;
  if (next.routes.empty() && !config_.routes.empty()) {
    // Half-written, most likely: nobody could see anything any more.
    return refuse_reload({next.file + ": routes: there are none left; a restart would take such a file"});
  }
  auto settings = make_settings(next, foundation());
  if (!settings) return refuse_reload({settings.error()});
  if (const std::string left_alone = changes_that_need_a_restart(config_, next); !left_alone.empty()) {
    log_.write(ops::LogLevel::warn, "needs_restart", {{"keys", left_alone}});
  }
  for (const std::string& warning : loaded->warnings) {
    log_.write(ops::LogLevel::warn, "configuration", {{"warning", warning}});
  }
  gateway_->replace(std::move(*settings));
  log_.configure(log_level(next.log.level), log_format(next.log.format));
  log_.write(ops::LogLevel::info, "reloaded", {{"file", config_.file}});
}

void House::refuse_reload(const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) {
    log_.write(ops::LogLevel::error, "reload_refused", {{"problem", problem}});
  }
}

void House::report_host(const store::HostNews& news) {
  log_.write(news.is_up ? ops::LogLevel::info : ops::LogLevel::warn, news.is_up ? "database_up" : "database_down",
             {{"host", news.host}, {"detail", news.detail}});
}

void House::stop() {
  read_pool_.stop();
  write_pool_.stop();
  hash_pool_.stop();
}

void House::write_last_uses(auth::Milliseconds at_least) {
  const auto uses = last_uses_.take(clock_.now(), at_least);
  if (uses.empty()) return;
  if (auto written = store_->touch(uses); !written) {
    log_.write(ops::LogLevel::warn, "last_used_not_written", {{"detail", written.error().detail}});
  }
}

// Serving goes on whatever it says: the store may come later. But nobody should have to find out by a visitor's 503.
void House::report_store() {
  const auto status = store_->schema_status();
  if (!status) {
    log_.write(ops::LogLevel::warn, "store_not_ready",
               {{"detail", status.error().detail}, {"hint", "visitors get 503 until it can be used"}});
  } else if (!status->is_current()) {
    const bool is_ours = config_.store.schema == config::Schema::native;
    log_.write(ops::LogLevel::warn, "store_not_ready",
               {{"detail", store::describe(*status)},
                {"hint", is_ours ? "run gatehouse db migrate" : "Lucia's tables are made by your application"}});
  }
}

}  // namespace gatehouse::app
