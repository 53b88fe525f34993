// Drive robots through scenes with an exported policy, at a fixed rate or as fast as it goes, and print JSON.
//
//   control_loop GRAPH.onnx SCENES.txt [--rate 50] [--runs N] [--candidates 16] [--paths FILE]
//
// Of so many candidates the safest plan is carried out. It is made every kExecuted ticks, inside a tick; a tick that is
// not over when the next one is due has missed its deadline, and the clock starts anew from there. The graph runs in
// this thread alone.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <limits>
#include <samplegraph/samplegraph.hpp>
#include <thread>

#include "latency.hpp"
#include "world.hpp"

namespace {

constexpr std::uint64_t kSeedsPerRun = 1000;

struct Arguments {
  std::string graph, scenes, paths;
  double rate = 0;
  std::size_t runs = std::numeric_limits<std::size_t>::max(), candidates = world::kCandidates;
};

Arguments parse(int count, char** values) {
  Arguments out;
  std::vector<std::string> files;
  for (int i = 1; i < count; ++i) {
    const std::string word = values[i];
    if (word.rfind("--", 0) != 0) {
      files.push_back(word);
      continue;
    }
    if (++i == count) throw std::runtime_error(word + " needs a value");
    const std::string value = values[i];
    char* end = nullptr;
    const double number = std::strtod(value.c_str(), &end);
    const bool positive = *end == '\0' && number > 0;
    if (word == "--paths") out.paths = value;
    else if (word == "--rate" && positive) out.rate = number;
    else if (word == "--runs" && positive) out.runs = static_cast<std::size_t>(number);
    else if (word == "--candidates" && number >= 1 && number <= world::kCandidates) out.candidates = static_cast<std::size_t>(number);
    else throw std::runtime_error(word + " " + value + ": give --rate HZ, --runs N, --candidates 1 to 16 or --paths FILE");
  }
  if (files.size() != 2) throw std::runtime_error("usage: control_loop GRAPH.onnx SCENES.txt [--rate HZ] [--runs N] [--candidates N] [--paths FILE]");
  out.graph = files[0], out.scenes = files[1];
  return out;
}

/** Ticks at a fixed rate; without a rate they follow at once. */
class Metronome {
 public:
  explicit Metronome(double rate) : period_(rate > 0 ? static_cast<std::int64_t>(1e9 / rate) : 0) {}
  void start() { due_ = Clock::now(); }
  /** Waits for the next tick; returns how long after its time it began. */
  Clock::duration wait() {
    if (period_.count() == 0) return {};
    std::this_thread::sleep_until(due_);
    return Clock::now() - due_;
  }
  /** The work of a tick is done: whether it was late for the next. */
  bool missed() {
    if (period_.count() == 0) return false;
    due_ += period_;
    const Clock::time_point now = Clock::now();
    if (now <= due_) return false;
    due_ = now;
    return true;
  }

 private:
  std::chrono::nanoseconds period_;
  Clock::time_point due_;
};

class Policy {
 public:
  Policy(const std::string& graph, std::size_t candidates) : engine_(graph, one_thread()), candidates_(candidates) {
    request_.view("observation", seen_.data(), {1, world::kObservation}, SG_FLOAT32);
    if (engine_.output().rank != 3 || engine_.output().shape[1] != world::kHorizon || engine_.output().shape[2] != 2) {
      throw std::runtime_error(graph + ": its output is no plan of 16 actions in the plane");
    }
    engine_.warm_up(request_.seeds(std::vector<std::uint64_t>(candidates_)));
  }

  /** Waypoints from where the robot stands: those of the safest of the plans that are drawn. */
  void plan(world::Vector place, const world::Scene& scene, std::uint64_t number) {
    const world::Vector axis = world::observe(place, scene, seen_);
    std::vector<std::uint64_t> seeds(candidates_);
    for (std::size_t i = 0; i < seeds.size(); ++i) seeds[i] = world::kCandidates * number + i;
    const std::size_t bytes = candidates_ * 2 * world::kHorizon * sizeof(float);
    engine_.sample_into(request_.seeds(std::move(seeds)), actions_.data(), bytes);
    const float* best = actions_.data();
    for (std::size_t i = 1; i < candidates_; ++i) {
      const float* other = actions_.data() + i * 2 * world::kHorizon;
      if (world::room(other, seen_) > world::room(best, seen_)) best = other;
    }
    for (std::size_t i = 0; i < world::kHorizon; ++i) {
      const world::Vector reached{world::kReach * static_cast<double>(best[2 * i]),
                                  world::kReach * static_cast<double>(best[2 * i + 1])};
      waypoints[i] = place + world::turned(reached, {axis.x, -axis.y});
    }
  }

  std::array<world::Vector, world::kHorizon> waypoints;

 private:
  static samplegraph::Options one_thread() {
    samplegraph::Options options;
    options.threads = 1;
    return options;
  }

  samplegraph::Engine engine_;
  const std::size_t candidates_;
  samplegraph::Request request_;
  std::array<float, world::kObservation> seen_{};
  std::array<float, world::kCandidates * 2 * world::kHorizon> actions_{};
};

struct Times {
  Latency plan, wake;
  std::size_t ticks = 0, missed = 0;
};

const char* run(Policy& policy, const world::Scene& scene, std::size_t number, Metronome& clock, Times& times,
                std::vector<world::Vector>& path) {
  world::Vector place = scene.start;
  path.assign(1, place);
  for (std::size_t tick = 0; tick < world::kMaxTicks; ++tick) {
    times.wake.add(clock.wait());
    if (tick % world::kExecuted == 0) {
      const Clock::time_point begin = Clock::now();
      policy.plan(place, scene, kSeedsPerRun * number + tick / world::kExecuted);
      times.plan.add(Clock::now() - begin);
    }
    place = world::follow(place, policy.waypoints[tick % world::kExecuted]);
    path.push_back(place);
    times.ticks += 1;
    times.missed += clock.missed() ? 1 : 0;
    if (world::clearance(place, scene) < 0) return "collision";
    if (world::length(scene.goal - place) < world::kGoalRadius) return "goal";
  }
  return "time";
}

void drive(const Arguments& given) {
  std::vector<world::Scene> scenes = world::read_scenes(given.scenes);
  scenes.resize(std::min(given.runs, scenes.size()));
  Policy policy(given.graph, given.candidates);
  Metronome clock(given.rate);
  const std::size_t most = scenes.size() * world::kMaxTicks;
  Times times{Latency(most / world::kExecuted + scenes.size()), Latency(most)};
  std::ofstream paths(given.paths);
  paths.precision(17);
  std::vector<world::Vector> path;
  path.reserve(world::kMaxTicks + 1);
  std::vector<const char*> outcomes;
  clock.start();
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    outcomes.push_back(run(policy, scenes[i], i, clock, times, path));
    for (const world::Vector& each : path) paths << each.x << ' ' << each.y << (&each == &path.back() ? '\n' : ' ');
  }
  std::size_t reached = 0;
  std::printf("{\"outcomes\": [");
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    std::printf("%s\"%s\"", i > 0 ? ", " : "", outcomes[i]);
    reached += std::strcmp(outcomes[i], "goal") == 0 ? 1 : 0;
  }
  std::printf("],\n \"success\": %.4f, \"rate_hz\": %g, \"ticks\": %zu, \"missed_deadlines\": %zu,\n ",
              static_cast<double>(reached) / static_cast<double>(scenes.size()), given.rate, times.ticks, times.missed);
  times.plan.print(stdout, "plan_ms");
  std::printf(",\n ");
  times.wake.print(stdout, "wake_ms");
  std::printf("}\n");
}

}  // namespace

int main(int count, char** values) {
  try {
    drive(parse(count, values));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
