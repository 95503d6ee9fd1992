#include "home/internal/import_date.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <string>
#include <string_view>

namespace watra::home {
namespace {

int64_t days_from_civil(int y, int m, int d) {  // Hinnant, chrono-Compatible Low-Level Date Algorithms
  y -= m <= 2;
  const int era = (y >= 0 ? y : y - 399) / 400;
  const int yoe = y - era * 400;
  const int doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  return int64_t{era} * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

int64_t to_ms(int y, int mo, int d, int h, int mi, double s) {
  const auto within = [](auto x, int least, int most) { return x >= least && x <= most; };
  if (!within(y, 1, 9999) || !within(mo, 1, 12) || !within(d, 1, 31) || !within(h, 0, 24) || !within(mi, 0, 59) ||
      !within(s, 0, 60))
    return 0;
  return (days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60) * 1000 + std::llround(s * 1000);
}

}  // namespace

int64_t parse_date(const Json& date) {
  if (date.is_number()) {
    const auto x = date.get<double>();
    if (!std::isfinite(x) || x <= 0 || x > 1e14) return 0;
    return std::llround(x < 1e11 ? x * 1000 : x);  // seconds until the year 5138
  }
  if (!date.is_string()) return 0;
  const std::string s = date.get<std::string>();
  int y = 0, mo = 0, d = 0, h = 0, mi = 0, n = 0, ms = 0, sec = 0;
  double seconds = 0;
  if (std::sscanf(s.c_str(), "%d-%d-%d @%dh %dm %ds %dms", &y, &mo, &d, &h, &mi, &sec, &ms) >= 6)
    return to_ms(y, mo, d, h, mi, sec + ms / 1000.0);
  if (std::sscanf(s.c_str(), "%d-%d-%dT%d:%d:%lf%n", &y, &mo, &d, &h, &mi, &seconds, &n) == 6) {
    int64_t at = to_ms(y, mo, d, h, mi, seconds);
    int oh = 0, om = 0;
    char sign = 0;
    if (std::sscanf(s.c_str() + n, "%c%2d:%2d", &sign, &oh, &om) >= 2 && (sign == '+' || sign == '-'))
      at -= (sign == '+' ? 1 : -1) * (oh * 3600 + om * 60) * int64_t{1000};
    return at;
  }
  std::array<char, 16> month{};
  std::array<char, 4> half{};
  if (std::sscanf(s.c_str(), "%15[A-Za-z] %d, %d %d:%d%3[apm]", month.data(), &d, &y, &h, &mi, half.data()) >= 5) {
    static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const size_t at = kMonths.find(std::string_view(month.data()).substr(0, 3));
    if (at == std::string_view::npos) return 0;
    if (half[0] == 'p' && h < 12) h += 12;
    if (half[0] == 'a' && h == 12) h = 0;
    return to_ms(y, static_cast<int>(at / 3) + 1, d, h, mi, 0);
  }
  int64_t number = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), number);
  return ec == std::errc() && end == s.data() + s.size() ? parse_date(Json(number)) : 0;
}

}  // namespace watra::home
