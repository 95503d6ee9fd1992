#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

namespace watra::log {

void init(int verbosity) {
  auto logger = spdlog::get("watra");
  if (!logger) logger = spdlog::stderr_color_mt("watra");
  logger->set_pattern("%^%l%$ %v");
  logger->set_level(verbosity >= 2   ? spdlog::level::debug
                    : verbosity == 1 ? spdlog::level::info
                    : verbosity == 0 ? spdlog::level::warn
                                     : spdlog::level::err);
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace watra::log
