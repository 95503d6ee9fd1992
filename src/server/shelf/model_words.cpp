#include "server/shelf/model_words.h"

#include <algorithm>
#include <cctype>

#include "hub/catalog.h"
#include "model/outline.h"

namespace watra::server {
namespace {

struct Known {
  std::string_view part;  // of a name in lower case without blanks, points and lines
  std::string_view polish, pl, en;
};

// The first that fits counts: the particular before the general.
constexpr Known kKnown[] = {
    {"smollm", "none", "Malutki, na próbę. Zna tylko angielski.", "Tiny, to try things. English only."},
    {"bielik", "good", "Polski model. Pisze po polsku płynnie, z poczuciem rytmu.",
     "A Polish model. Writes Polish fluently and with an ear for it."},
    {"pllum", "good", "Polski model, pisany z myślą o języku urzędów i codziennych spraw.",
     "A Polish model, made with everyday and official language in mind."},
    {"qra", "good", "Polski model bazowy. Dopowiada tekst, sam nie rozmawia.",
     "A Polish base model. It continues text and does not converse."},
    {"qwen25coder05b", "little", "Szybki pomocnik do kodu. Po polsku prawie nie mówi.",
     "A quick helper for code. Hardly any Polish."},
    {"qwen25coder", "some", "Lubi kod, po polsku trochę się potyka.", "Likes code, stumbles a little in Polish."},
    {"gemma3270m", "some", "Model bazowy: dopowiada tekst, sam nie rozmawia.",
     "A base model: it continues text and does not converse."},
    {"gemma3", "good", "Wielojęzyczny, pisze po polsku ładnie.", "Multilingual, writes good Polish."},
    {"gemma2", "good", "Wielojęzyczny, pisze po polsku ładnie.", "Multilingual, writes good Polish."},
    {"hermes470b", "good", "Rozmówca z charakterem, potrafi długo rozważać.",
     "A talker with character, able to ponder at length."},
    {"llama3370b", "good", "Duży i mądry, po polsku swobodny.", "Big and wise, at ease in Polish."},
    {"llama3170b", "good", "Duży i mądry, po polsku swobodny.", "Big and wise, at ease in Polish."},
    {"llama31405b", "good", "Największy z otwartych w swojej rodzinie. Na domowej maszynie bardzo powolny.",
     "The largest of its family. Very slow on a machine at home."},
    {"llama31", "some", "Dobry do wszystkiego, po polsku czasem się myli.",
     "A good all-rounder, with slips in Polish."},
    {"llama32", "some", "Mały i szybki, po polsku czasem się myli.", "Small and quick, with slips in Polish."},
    {"mistralnemo", "some", "Średni, zgrabny, po polsku rozmawia znośnie.",
     "Middle-sized and nimble, its Polish is passable."},
    {"mistrallarge", "good", "Duży, po polsku swobodny.", "Large, at ease in Polish."},
    {"qwen3", "some", "Lubi się zastanowić, po polsku rozmawia znośnie.",
     "Likes to think first, its Polish is passable."},
    {"qwen25", "some", "Wszechstronny, po polsku rozmawia znośnie.", "Versatile, its Polish is passable."},
    {"phi3", "little", "Mały i bystry, najlepiej po angielsku.", "Small and bright, best in English."},
    {"tinyllama", "none", "Malutki, zna tylko angielski.", "Tiny, English only."},
};

}  // namespace

ModelWords model_words(std::string_view name) {
  std::string plain;
  for (const unsigned char c : name)
    if (std::isalnum(c)) plain += static_cast<char>(std::tolower(c));
  for (const Known& k : kKnown)
    if (plain.find(k.part) != std::string::npos) return {std::string(k.pl), std::string(k.en), k.polish};
  return {};
}

std::string shown_name(const std::string& id, const std::string& own) {
  if (hub::find_in_catalog(id))
    if (const auto shape = model::find_shape(id)) return std::string((*shape)->label);
  return own.empty() ? id : own;
}

}  // namespace watra::server
