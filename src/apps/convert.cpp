// watra convert FOLDER OUT.gguf: a Hugging Face model folder becomes a GGUF file; synthetic:SHAPE:QUANT OUT.gguf:
// random weights of those shapes do.
#include "workshop/convert.h"

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "base/memory.h"
#include "base/terminal.h"
#include "workshop/synthetic_file.h"

namespace watra::apps {

namespace {

constexpr std::string_view kSynthetic = "synthetic:";

Status run_convert(const Globals& g, workshop::ConvertOptions options) {
  options.threads = g.threads;
  ProgressBar bar;
  const std::string what = options.target.filename().string();
  options.progress = [&](const workshop::ConvertProgress& p) { bar.update(what, p.done_bytes, p.total_bytes); };
  WATRA_ASSIGN(const workshop::ConvertReport report, workshop::convert(options));
  bar.clear();

  if (g.json) {
    print_json({{"path", report.path.string()},
                {"bytes", report.bytes},
                {"n_tensors", report.n_tensors},
                {"seconds", report.seconds},
                {"architecture", report.architecture},
                {"outtype", workshop::out_type_name(report.out_type)},
                {"n_params", report.n_params},
                {"n_rows_checked", report.n_rows_checked},
                {"warnings", report.warnings}});
    return {};
  }
  for (const std::string& warning : report.warnings) fmt::print(stderr, "note: {}\n", warning);
  fmt::print("{}: {} ({}), {} tensors, {} parameters, {} in {}\n", report.path.string(), report.architecture,
             workshop::out_type_name(report.out_type), report.n_tensors, report.n_params, format_bytes(report.bytes),
             format_duration(report.seconds));
  return {};
}

Status run_synthetic(const Globals& g, const std::string& source, const fs::path& target) {
  ProgressBar bar;
  WATRA_ASSIGN(const workshop::SyntheticReport report,
               workshop::write_synthetic(std::string_view(source).substr(kSynthetic.size()), target,
                                         [&](const workshop::ConvertProgress& p) {
                                           bar.update(target.filename().string(), p.done_bytes, p.total_bytes);
                                         }));
  bar.clear();
  if (g.json)
    print_json({{"path", target.string()},
                {"bytes", report.bytes},
                {"n_tensors", report.n_tensors},
                {"n_params", report.n_params}});
  else
    fmt::print("{}: random weights, {} tensors, {} parameters, {}\n", target.string(), report.n_tensors,
               report.n_params, format_bytes(report.bytes));
  return {};
}

}  // namespace

void add_convert(CLI::App& app, Globals& g, Handler& chosen) {
  auto* command = app.add_subcommand("convert", "Turn a Hugging Face model folder into a GGUF file");
  auto options = std::make_shared<workshop::ConvertOptions>();
  auto source = std::make_shared<std::string>(), target = std::make_shared<std::string>(),
       type = std::make_shared<std::string>("auto");
  command->add_option("folder", *source, "Folder with config.json, tokenizer and safetensors; or synthetic:SHAPE:QUANT")
      ->required();
  command->add_option("out", *target, "GGUF file to write")->required();
  command->add_option("--outtype", *type, "Type of the matrices: auto keeps 16 bits")
      ->check(CLI::IsMember({"auto", "f32", "f16", "bf16", "q8_0"}))
      ->capture_default_str();
  command->add_option("--name", options->name, "Name in the file (default: the folder's)");
  command->add_option("--pre", options->pre_tokenizer, "tokenizer.ggml.pre, when the pre-tokenizer is not recognized");
  command->callback([=, &g, &chosen] {
    chosen = [=, &g]() -> Status {
      if (source->starts_with(kSynthetic)) {
        if (*type != "auto" || !options->name.empty() || !options->pre_tokenizer.empty())
          return fail("usage.convert",
                      "--outtype, --name and --pre are for folders; synthetic weights have none of them",
                      "the quantization is part of the name: synthetic:llama-1b:q4_k_m");
        return run_synthetic(g, *source, *target);
      }
      options->source = *source;
      options->target = *target;
      options->out_type = *workshop::out_type_from_name(*type);
      return run_convert(g, *options);
    };
  });
}

}  // namespace watra::apps
