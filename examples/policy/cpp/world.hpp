// The simulated task of world.py, with the same operations in the same order: the same bits.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace world {

constexpr std::size_t kObstacles = 2, kHorizon = 16, kExecuted = 4, kObservation = 1 + 3 * kObstacles;
constexpr std::size_t kCandidates = 16, kChecked = 16;
constexpr double kRoomEnough = 0.05;
constexpr double kReach = 0.5, kMaxStep = 0.03, kGoalRadius = 0.05;
constexpr int kMaxTicks = 200;

struct Vector {
  double x = 0, y = 0;
};
inline Vector operator-(Vector a, Vector b) { return {a.x - b.x, a.y - b.y}; }
inline Vector operator+(Vector a, Vector b) { return {a.x + b.x, a.y + b.y}; }
inline double length(Vector v) { return std::sqrt(v.x * v.x + v.y * v.y); }

/** The vector in the frame whose x axis is `axis`; with {axis.x, -axis.y} it leads back. */
inline Vector turned(Vector v, Vector axis) { return {v.x * axis.x + v.y * axis.y, v.y * axis.x - v.x * axis.y}; }

struct Obstacle {
  Vector centre;
  double radius = 0;
};

struct Scene {
  Vector start, goal;
  std::array<Obstacle, kObstacles> obstacles;
};

/** Fills what the policy sees, and returns the x axis of the frame it sees it in: from the robot to the goal. */
inline Vector observe(Vector place, const Scene& scene, std::array<float, kObservation>& seen) {
  const Vector way = scene.goal - place;
  const double distance = std::max(length(way), 1e-9);
  const Vector axis{way.x / distance, way.y / distance};
  float* out = seen.data();
  *out++ = static_cast<float>(distance);
  for (const Obstacle& each : scene.obstacles) {
    const Vector relative = turned(each.centre - place, axis);
    *out++ = static_cast<float>(relative.x);
    *out++ = static_cast<float>(relative.y);
    *out++ = static_cast<float>(each.radius);
  }
  return axis;
}

/** One tick towards `waypoint`. */
inline Vector follow(Vector place, Vector waypoint) {
  Vector way = waypoint - place;
  if (const double far = length(way); far > kMaxStep) {
    const double scale = kMaxStep / far;
    way = {way.x * scale, way.y * scale};
  }
  return place + way;
}

/** Distance of the nearest obstacle; negative inside. */
inline double clearance(Vector place, const Scene& scene) {
  double least = std::numeric_limits<double>::infinity();
  for (const Obstacle& each : scene.obstacles) least = std::min(least, length(place - each.centre) - each.radius);
  return least;
}

/** The least clearance of a plan's first actions, given what the robot saw; no more than kRoomEnough. */
inline double room(const float* plan, const std::array<float, kObservation>& seen) {
  double least = kRoomEnough;
  for (std::size_t action = 0; action < kChecked; ++action) {
    const Vector reached{kReach * static_cast<double>(plan[2 * action]), kReach * static_cast<double>(plan[2 * action + 1])};
    for (std::size_t i = 1; i < kObservation; i += 3) {
      const Vector centre{static_cast<double>(seen[i]), static_cast<double>(seen[i + 1])};
      least = std::min(least, length(reached - centre) - static_cast<double>(seen[i + 2]));
    }
  }
  return least;
}

/** What world.write_scenes wrote: a scene per line. */
inline std::vector<Scene> read_scenes(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be read; write it with python -m examples.policy scenes");
  std::vector<Scene> scenes;
  for (Scene each; file >> each.start.x >> each.start.y >> each.goal.x >> each.goal.y;) {
    for (Obstacle& one : each.obstacles) file >> one.centre.x >> one.centre.y >> one.radius;
    if (!file) throw std::runtime_error(path + ": line " + std::to_string(scenes.size() + 1) + " is not a scene");
    scenes.push_back(each);
  }
  if (!file.eof() || scenes.empty()) throw std::runtime_error(path + ": holds no scenes, or something else too");
  return scenes;
}

}  // namespace world
