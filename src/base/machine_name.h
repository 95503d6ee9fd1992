// What this machine is called, and at which addresses others of its network find it. Thread-safe, no errors: what the
// system does not tell is empty.
#pragma once

#include <string>
#include <vector>

namespace watra {

std::string machine_name();  // without a domain
// IPv4 and IPv6 addresses of interfaces that are up, loopback and link-local ones left out.
std::vector<std::string> machine_addresses();

}  // namespace watra
