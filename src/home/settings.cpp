#include "home/settings.h"

#include "home/check.h"

namespace watra::home {

Json Settings::read() const {
  Json values = Json::object();
  for (const Json& s : settings_schema().at("settings")) values[s.at("key").get<std::string>()] = s.at("default");
  Statement s = db_.query("SELECT key, value FROM settings");
  while (s.step())
    if (values.contains(s.text(0))) values[s.text(0)] = s.json(1);  // a key of another version stays unseen
  return values;
}

Result<Json> Settings::values() const {
  return guarded([&] { return read(); });
}

Result<Settings::Seen> Settings::seen() const {
  return guarded([&] {
    const auto held = db_.lock();
    return Seen{read(), events_.last()};
  });
}

Result<Json> Settings::value(std::string_view key) const {
  return guarded([&] {
    const Json* setting = find_setting(key);
    if (!setting) refuse("setting.unknown", fmt::format("there is no setting {}", key));
    Statement s = db_.query("SELECT value FROM settings WHERE key = ?", key);
    return s.step() ? s.json(0) : setting->at("default");
  });
}

Result<Json> Settings::change(const Json& changes) {
  return guarded([&] {
    if (!changes.is_object()) refuse_field("body", "an object of keys and values");
    for (const auto& [key, value] : changes.items()) {
      const Json* setting = find_setting(key);
      if (!setting) refuse_field(key, "a key of /settings/schema");
      check_setting(*setting, value, key);
    }
    Transaction t(db_);
    if (const Json& persona = member(changes, kPersonaSetting); persona.is_string() && persona != "") {
      Statement s = db_.query("SELECT 1 FROM personas WHERE id = ?", persona.get<std::string>());
      if (!s.step()) refuse("persona.unknown", fmt::format("there is no persona {}", persona.get<std::string>()));
    }
    for (const auto& [key, value] : changes.items()) {
      if (value.is_null())
        db_.run("DELETE FROM settings WHERE key = ?", key);
      else
        db_.run("INSERT INTO settings VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", key,
                dump(value));
    }
    Json all = read(), changed = Json::object();
    for (const auto& [key, value] : changes.items()) changed[key] = all.at(key);
    events_.publish("engine.settings", std::nullopt, std::nullopt, {{"values", std::move(changed)}});
    t.commit();
    return all;
  });
}

Result<Json> Settings::sampling() const {
  constexpr std::string_view kPrefix = "sampling.";
  return guarded([&] {
    const Json all = read();
    Json out = Json::object();
    for (const auto& [key, value] : all.items())
      if (key.starts_with(kPrefix)) out[key.substr(kPrefix.size())] = value;
    return out;
  });
}

Result<Json> Settings::checked_sampling_of(const Json& value) const {
  return guarded([&] { return checked_sampling(value, "sampling"); });
}

}  // namespace watra::home
