#include "server/shelf/model_shelf.h"

#include <gtest/gtest.h>

namespace watra::server {
namespace {

TEST(ShelfId, IsTheLastPartOfAName) {
  EXPECT_EQ(shelf_id("org/repo/model-q4"), "model-q4");
  EXPECT_EQ(shelf_id("model"), "model");
}

TEST(ShelfId, OfLongNamesTellsThemApart) {
  const std::string stem(80, 'x');
  const std::string id = shelf_id("org/repo/" + stem + "a"), other = shelf_id("org/repo/" + stem + "b");
  EXPECT_EQ(id.size(), 64u);
  EXPECT_EQ(other.size(), 64u);
  EXPECT_NE(id, other);
  EXPECT_EQ(id, shelf_id("elsewhere/" + stem + "a")) << "wherever it lies";
}

}  // namespace
}  // namespace watra::server
