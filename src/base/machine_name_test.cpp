#include "base/machine_name.h"

#include <gtest/gtest.h>

namespace watra {
namespace {

TEST(MachineName, IsPlainAndItsAddressesLeadOutside) {
  EXPECT_EQ(machine_name().find('.'), std::string::npos);
  for (const std::string& address : machine_addresses()) {
    EXPECT_FALSE(address.starts_with("127.") || address == "::1" || address.starts_with("fe80")) << address;
    EXPECT_TRUE(address.find('.') != std::string::npos || address.find(':') != std::string::npos) << address;
  }
}

}  // namespace
}  // namespace watra
