#include "home/settings_schema.h"

#include <cmath>
#include <map>
#include <string>

#include "home/check.h"

namespace watra::home {
namespace {

Json words(const char* pl, const char* en) { return {{"pl", pl}, {"en", en}}; }

struct Choice {
  const char *value, *pl, *en;
};

// One setting being written down.
struct Entry {
  Json json;

  Entry(const char* key, const char* type, Json initial, const char* level) {
    const std::string_view k(key);
    const std::string_view group = k.substr(0, k.find('.'));
    json = {{"key", key}, {"group", group}, {"type", type}, {"default", std::move(initial)}, {"level", level}};
    json["cost"] = nullptr;
    json["applies"] = group == "sampling" ? "next_answer" : group == "engine" ? "load" : "now";
  }
  Entry& named(const char* pl, const char* en) { return json["name"] = words(pl, en), *this; }
  Entry& what(const char* pl, const char* en) { return json["what"] = words(pl, en), *this; }
  Entry& costs(const char* pl, const char* en) { return json["cost"] = words(pl, en), *this; }
  Entry& range(double least, double most, double step) {
    const bool whole = json["type"] == "int";
    const auto number = [&](double x) { return whole ? Json(static_cast<int64_t>(x)) : Json(x); };
    json["min"] = number(least);
    json["max"] = number(most);
    json["step"] = number(step);
    return *this;
  }
  Entry& off(Json value) { return json["off"] = std::move(value), *this; }
  Entry& applies(const char* when) { return json["applies"] = when, *this; }
  Entry& choices(std::initializer_list<Choice> list) {
    for (const Choice& c : list) json["choices"].push_back({{"value", c.value}, {"name", words(c.pl, c.en)}});
    return *this;
  }
};

constexpr Choice kWatra{"watra", "Watra nocą", "Watra at night"};
constexpr Choice kMorning{"poranek", "Poranek na hali", "Morning on the meadow"};
constexpr Choice kPaper{"papier", "Papier", "Paper"};
constexpr Choice kContrast{"kontrast", "Kontrast", "Contrast"};

std::vector<Entry> look() {
  return {
      Entry("look.language", "choice", nullptr, "plain")
          .named("Język", "Language")
          .what("Język przycisków i napisów. Model odpowiada w języku pytania.",
                "The language of buttons and labels. The model answers in the language it is asked in.")
          .choices({{"pl", "Polski", "Polish"}, {"en", "Angielski", "English"}}),
      Entry("look.theme", "choice", "watra", "plain")
          .named("Motyw", "Theme")
          .what("Barwy i światło całej chaty.", "The colours and light of the whole house.")
          .choices({kWatra, kMorning, kPaper, kContrast}),
      Entry("look.follow_hour", "bool", false, "plain")
          .named("Idź za porą dnia", "Follow the hour")
          .what("W dzień motyw dzienny, po zmierzchu nocny.", "The day theme by day, the night theme after dusk."),
      Entry("look.day_theme", "choice", "poranek", "more")
          .named("Motyw dzienny", "Day theme")
          .what("Używany, gdy chata idzie za porą dnia.", "Used when the house follows the hour.")
          .choices({kMorning, kPaper}),
      Entry("look.night_theme", "choice", "watra", "more")
          .named("Motyw nocny", "Night theme")
          .what("Używany po zmierzchu.", "Used after dusk.")
          .choices({kWatra, kContrast}),
      Entry("look.motion", "choice", "full", "plain")
          .named("Ruch", "Motion")
          .what("Ile rzeczy się porusza. „Mniej” zostawia krótkie przenikania.",
                "How much moves. \"Less\" leaves short cross-fades.")
          .choices({{"full", "Pełny", "Full"}, {"less", "Mniej", "Less"}}),
      Entry("look.fire", "choice", "living", "plain")
          .named("Ogień", "Fire")
          .what("Żywy ogień pokazuje, co robi model.", "A living fire shows what the model does.")
          .costs("Z kartą graficzną mniej niż 2% jednego rdzenia; w ukrytej karcie nic. Bez karty graficznej ogień "
                 "stoi, a "
                 "słowa przychodzą po kilka, żeby rdzenie zostały modelowi.",
                 "With a graphics card less than 2% of one core; nothing in a hidden tab. Without a graphics card the "
                 "fire "
                 "stands still and words come a few at a time, so that the cores are left to the model.")
          .choices({{"living", "Żywy", "Living"}, {"still", "Spokojny", "Still"}, {"none", "Bez ognia", "None"}}),
      Entry("look.window", "choice", "hour", "plain")
          .named("Widok z okna", "View from the window")
          .what("Góry, niebo i pogoda. Mogą iść za zegarem i porą roku albo zostać takie, jak się podobają.",
                "Mountains, sky and weather. They can follow the clock and the season or stay as they please.")
          .choices({{"hour", "Za porą dnia i roku", "By hour and season"},
                    {"stars", "Gwiaździsta noc", "Starry night"},
                    {"snow", "Śnieżny wieczór", "Snowy evening"},
                    {"sunrise", "Wschód słońca", "Sunrise"},
                    {"summer", "Letnie południe", "Summer noon"},
                    {"mist", "Jesienna mgła", "Autumn mist"}}),
      Entry("look.text_size", "choice", "normal", "plain")
          .named("Wielkość tekstu", "Text size")
          .what("Litery w rozmowie.", "The letters of the conversation.")
          .choices({{"small", "Mniejszy", "Small"},
                    {"normal", "Zwykły", "Normal"},
                    {"large", "Większy", "Large"},
                    {"huge", "Bardzo duży", "Huge"}}),
      Entry("look.typeface", "choice", "literata", "plain")
          .named("Krój pisma", "Typeface")
          .what("Pismo, którym mówi rozmowa: książkowe, z dawnych druków albo proste.",
                "The face the conversation speaks in: a book's, an old print's, or a plain one.")
          .choices({{"literata", "Literata", "Literata"},
                    {"brygada", "Brygada 1918", "Brygada 1918"},
                    {"figtree", "Figtree", "Figtree"}}),
      Entry("look.measure", "choice", "normal", "more")
          .named("Szerokość wiersza", "Line length")
          .what("Ile znaków mieści się w wierszu.", "How many characters a line holds.")
          .choices({{"narrow", "Wąska", "Narrow"}, {"normal", "Zwykła", "Normal"}, {"wide", "Szeroka", "Wide"}}),
      Entry("look.sound", "bool", false, "more")
          .named("Dźwięk", "Sound")
          .what("Cichy trzask polana, gdy odpowiedź jest gotowa.", "A log's soft crack when an answer is ready."),
      Entry("look.custom_theme", "json", nullptr, "more")
          .named("Własny motyw", "Own theme")
          .what("Barwy zmienione w edytorze motywu.", "Colours changed in the theme editor."),
  };
}

std::vector<Entry> plain_sampling() {
  return {
      Entry("sampling.temperature", "float", 0.8, "plain")
          .named("Temperatura", "Temperature")
          .what("Niżej: przewidywalnie i rzeczowo. Wyżej: śmielej, czasem od rzeczy. 0 wybiera zawsze najpewniejsze "
                "słowo.",
                "Lower: predictable and matter-of-fact. Higher: bolder, sometimes off the mark. 0 always takes the "
                "surest word.")
          .range(0, 5, 0.05),
      Entry("sampling.max_tokens", "int", -1, "plain")
          .named("Najdłuższa odpowiedź", "Longest answer")
          .what("W tokenach, po polsku około dwóch na słowo. Bez limitu: do końca myśli.",
                "In tokens, about 1.3 a word in English. No limit: until the thought ends.")
          .range(-1, 1048576, 1)
          .off(-1),
      Entry("sampling.top_p", "float", 0.95, "more")
          .named("Top-p", "Top-p")
          .what("Wybiera spośród słów, które razem mają taką szansę. 1 wyłącza.",
                "Chooses among the words that together hold this chance. 1 switches it off.")
          .range(0, 1, 0.01)
          .off(1.0),
      Entry("sampling.top_k", "int", 40, "more")
          .named("Top-k", "Top-k")
          .what("Wybiera spośród tylu najpewniejszych słów. 0 wyłącza.",
                "Chooses among this many of the surest words. 0 switches it off.")
          .range(-1, 1000, 1)
          .off(0),
      Entry("sampling.min_p", "float", 0.05, "more")
          .named("Min-p", "Min-p")
          .what("Odrzuca słowa dużo mniej pewne od najpewniejszego. Dobra straż przy wysokiej temperaturze.",
                "Drops words much less sure than the surest. A good guard when the temperature is high.")
          .range(0, 1, 0.01)
          .off(0.0),
      Entry("sampling.typical_p", "float", 1.0, "expert")
          .named("Typowość", "Typical-p")
          .what("Zostawia słowa tak zaskakujące, jak zwykle w tym miejscu. 1 wyłącza.",
                "Keeps the words that surprise about as much as usual here. 1 switches it off.")
          .range(0, 1, 0.01)
          .off(1.0),
      Entry("sampling.repeat_penalty", "float", 1.0, "more")
          .named("Kara za powtórzenia", "Repeat penalty")
          .what("Powyżej 1 zniechęca do słów, które już padły. Polskim końcówkom szkodzi, więc ostrożnie.",
                "Above 1 it discourages words already said. It harms inflected languages, so go gently.")
          .range(0, 4, 0.01)
          .off(1.0),
      Entry("sampling.repeat_last_n", "int", 64, "expert")
          .named("Pamięć kary", "Penalty window")
          .what("Ile ostatnich tokenów liczy się do kary.", "How many of the last tokens count for the penalty.")
          .range(-1, 8192, 1),
  };
}

std::vector<Entry> expert_sampling() {
  return {
      Entry("sampling.presence_penalty", "float", 0.0, "expert")
          .named("Kara za obecność", "Presence penalty")
          .what("Zachęca do nowych tematów.", "Encourages new topics.")
          .range(-2, 2, 0.05)
          .off(0.0),
      Entry("sampling.frequency_penalty", "float", 0.0, "expert")
          .named("Kara za częstość", "Frequency penalty")
          .what("Rośnie z każdym powtórzeniem słowa.", "Grows with every repetition of a word.")
          .range(-2, 2, 0.05)
          .off(0.0),
      Entry("sampling.dry_multiplier", "float", 0.0, "expert")
          .named("DRY", "DRY")
          .what("Przerywa powtarzanie całych zdań, nie pojedynczych słów. Zwykle 0,8.",
                "Breaks the repetition of whole sentences, not single words. Usually 0.8.")
          .range(0, 5, 0.05)
          .off(0.0),
      Entry("sampling.dry_base", "float", 1.75, "expert")
          .named("DRY: jak szybko rośnie", "DRY: how fast it grows")
          .what("Ile razy rośnie kara z każdym dalszym powtórzonym tokenem.",
                "How many times the penalty grows with each further repeated token.")
          .range(1, 4, 0.05),
      Entry("sampling.dry_allowed_length", "int", 2, "expert")
          .named("DRY: ile wolno powtórzyć", "DRY: how much may repeat")
          .what("Powtórzenia tak krótkie są bezkarne.", "Repetitions this short go unpunished.")
          .range(0, 32, 1),
      Entry("sampling.xtc_probability", "float", 0.0, "expert")
          .named("XTC", "XTC")
          .what("Czasem odrzuca najpewniejsze słowa, żeby proza nie była oczywista.",
                "Sometimes drops the surest words, so that prose is less obvious.")
          .range(0, 1, 0.05)
          .off(0.0),
      Entry("sampling.xtc_threshold", "float", 0.1, "expert")
          .named("Próg XTC", "XTC threshold")
          .what("Jak pewne musi być słowo, by XTC mogło je odrzucić.", "How sure a word must be for XTC to drop it.")
          .range(0, 0.5, 0.01),
      Entry("sampling.seed", "int", -1, "expert")
          .named("Ziarno", "Seed")
          .what("To samo ziarno i te same ustawienia dają tę samą odpowiedź. Losowe: za każdym razem inną.",
                "The same seed and settings give the same answer. Random: a different one each time.")
          .range(-1, 4294967295.0, 1)
          .off(-1),
      Entry("sampling.stop", "json", Json::array(), "expert")
          .named("Zatrzymaj na", "Stop at")
          .what("Teksty, które kończą odpowiedź; same nie wchodzą do niej.",
                "Texts that end an answer; they are not part of it.")
          .off(Json::array()),
  };
}

std::vector<Entry> engine_and_house() {
  return {
      Entry("engine.n_ctx", "int", 4096, "plain")
          .named("Długość pamięci rozmowy", "Context length")
          .what("Ile tokenów model widzi naraz: pytania, odpowiedzi i pliki razem.",
                "How many tokens the model sees at once: questions, answers and files together.")
          .costs("Dłuższa pamięć zajmuje więcej RAM; ile dokładnie, mówi półka przy każdym modelu.",
                 "A longer context takes more RAM; the shelf says how much for each model.")
          .range(256, 1048576, 256),
      Entry("engine.load_on_demand", "bool", true, "more")
          .named("Wczytuj na życzenie", "Load on demand")
          .what("Pytanie do modelu, którego nie ma w pamięci, najpierw go wczytuje.",
                "A question to a model that is not in memory loads it first.")
          .costs("Pierwsza odpowiedź czeka na wczytanie.", "The first answer waits for the load.")
          .applies("now"),
      Entry("engine.endless", "bool", false, "more")
          .named("Odpowiedzi bez końca", "Answers without end")
          .what("Gdy w trakcie odpowiedzi skończy się pamięć rozmowy, jej dawniejsza część wypada modelowi z oczu, a "
                "odpowiedź idzie dalej. Persona i wskazówka zostają. Wyłączone: odpowiedź kończy się w tym miejscu.",
                "When the context fills up while an answer is being written, the model forgets an earlier part of the "
                "conversation and goes on. Persona and system words stay. Off: the answer ends there.")
          .costs("Co ćwierć pamięci rozmowy przychodzi przerwa na ponowne czytanie reszty; model, który powtarza się "
                 "w kółko, pisze, dopóki go nie zatrzymasz.",
                 "Every quarter of a context there is a pause to read the rest again; a model that goes round in "
                 "circles writes until you stop it.")
          .applies("next_answer"),
      Entry("engine.default_model", "text", "", "more")
          .named("Model na start", "Model at start")
          .what("Siada przy ogniu, gdy chata się budzi.", "Sits by the fire when the house wakes.")
          .applies("restart"),
      Entry(kPersonaSetting, "text", "", "plain")
          .named("Persona na początek", "Persona to begin with")
          .what(
              "Z nią zaczyna się każda nowa rozmowa. Na pierwszym ekranie rozmowy można wybrać inną albo żadnej.",
              "Every new conversation begins with it. The first screen of a conversation offers another one, or none.")
          .costs("Jej słowa zajmują miejsce w pamięci rozmowy, a model czyta je przed pierwszą odpowiedzią.",
                 "Its words take room in the context, and the model reads them before the first answer."),
      Entry("house.first_start_done", "bool", false, "plain")
          .named("Powitanie za nami", "Welcome is over")
          .what("Wyłącz, aby zobaczyć powitanie jeszcze raz.", "Switch off to see the welcome again."),
  };
}

Json make_schema() {
  Json groups = Json::array({{{"id", "look"}, {"name", words("Wygląd", "Look")}},
                             {{"id", "sampling"}, {"name", words("Jak mówi", "How it speaks")}},
                             {{"id", "engine"}, {"name", words("Silnik", "Engine")}},
                             {{"id", "house"}, {"name", words("Dom", "House")}}});
  Json settings = Json::array();
  for (const auto& part : {look(), plain_sampling(), expert_sampling(), engine_and_house()})
    for (const Entry& e : part) settings.push_back(e.json);
  return {{"groups", std::move(groups)}, {"settings", std::move(settings)}};
}

void check_number(const Json& setting, const Json& value, std::string_view field) {
  const bool whole = setting.at("type") == "int";
  const auto least = setting.at("min").get<double>(), most = setting.at("max").get<double>();
  const double x = value.is_number() ? value.get<double>() : NAN;
  if (std::isfinite(x) && x >= least && x <= most && (!whole || x == std::floor(x))) return;
  refuse_field(field, fmt::format("{}..{}", setting.at("min").dump(), setting.at("max").dump()));
}

// The two settings that are JSON have shapes of their own.
void check_json(const std::string& key, const Json& value, std::string_view field) {
  constexpr size_t kMostStops = 16, kMostColours = 64;
  if (key == "sampling.stop") {
    const std::string allowed = fmt::format("a list of at most {} texts", kMostStops);
    if (!value.is_array() || value.size() > kMostStops) refuse_field(field, allowed);
    for (const Json& text : value)
      if (!text.is_string()) refuse_field(field, allowed);
    return;
  }
  const auto is_colour = [](const Json& c) {
    if (!c.is_string()) return false;
    const auto& s = c.get_ref<const std::string&>();
    return s.size() == 7 && s[0] == '#' && s.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos;
  };
  constexpr const char* kAllowed = "{\"name\", \"base\": a theme, \"tokens\": {name: \"#RRGGBB\"}}";
  if (!value.is_object() || !member(value, "name").is_string() || !member(value, "tokens").is_object() ||
      member(value, "tokens").size() > kMostColours || n_characters(member(value, "name").get<std::string>()) > 80)
    refuse_field(field, kAllowed);
  check_setting(*find_setting("look.theme"), member(value, "base"), field);
  for (const auto& [name, colour] : value.at("tokens").items())
    if (!is_colour(colour)) refuse_field(field, kAllowed);
}

}  // namespace

const Json& settings_schema() {
  static const Json kSchema = make_schema();
  return kSchema;
}

const Json* find_setting(std::string_view key) {
  static const auto kByKey = [] {
    std::map<std::string, const Json*, std::less<>> out;
    for (const Json& s : settings_schema().at("settings")) out[s.at("key").get<std::string>()] = &s;
    return out;
  }();
  const auto it = kByKey.find(key);
  return it == kByKey.end() ? nullptr : it->second;
}

void check_setting(const Json& setting, const Json& value, std::string_view field) {
  if (value.is_null()) return;
  const std::string type = setting.at("type");
  if (type == "bool") {
    checked_bool(value, field);
  } else if (type == "text") {
    checked_text(value, field, 0, 1000);
  } else if (type == "choice") {
    std::string allowed;
    for (const Json& c : setting.at("choices")) {
      if (value == c.at("value")) return;
      allowed += (allowed.empty() ? "" : ", ") + c.at("value").get<std::string>();
    }
    refuse_field(field, allowed);
  } else if (type == "json") {
    check_json(setting.at("key"), value, field);
  } else {
    check_number(setting, value, field);
  }
}

Json checked_sampling(const Json& value, std::string_view field) {
  Json out = Json::object();
  if (value.is_null()) return out;
  if (!value.is_object()) refuse_field(field, "an object");
  for (const auto& [name, x] : value.items()) {
    const Json* setting = find_setting("sampling." + name);
    if (!setting || x.is_null()) continue;
    check_setting(*setting, x, fmt::format("{}.{}", field, name));
    out[name] = setting->at("type") == "int" ? Json(static_cast<int64_t>(x.get<double>())) : x;
  }
  return out;
}

}  // namespace watra::home
