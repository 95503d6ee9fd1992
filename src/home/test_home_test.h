// TestHome: a home in a folder of its own, gone with the object.
#pragma once

#include <gtest/gtest.h>

#include "home/home.h"
#include "home/ids.h"

namespace watra::home {

struct TestHome {
  fs::path folder = fs::temp_directory_path() / make_id("watra-home-");
  std::unique_ptr<Home> home;

  TestHome() { reopen(); }
  ~TestHome() {
    home.reset();
    std::error_code ec;
    fs::remove_all(folder, ec);
  }
  void reopen() {
    home.reset();
    auto opened = Home::open(folder);
    ASSERT_TRUE(opened) << opened.error().message;
    home = std::move(*opened);
  }
  Home* operator->() { return home.get(); }
  Home& operator*() { return *home; }
};

}  // namespace watra::home
