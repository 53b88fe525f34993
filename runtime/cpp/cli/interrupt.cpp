#include "cli/interrupt.hpp"

#include <pthread.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <thread>

namespace cli {
namespace {

std::atomic<samplegraph::Stop*> current{nullptr};

void wait_for_interrupts(sigset_t signals) {
  for (int signal = 0; sigwait(&signals, &signal) == 0;) {
    samplegraph::Stop* stop = current.exchange(nullptr);  // a second Ctrl-C ends the program
    if (stop == nullptr) {
      std::fputs("error: interrupted\n", stderr);
      _exit(130);
    }
    stop->request();
  }
}

}  // namespace

void catch_interrupts() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // inherited by every thread that starts later
  std::thread(wait_for_interrupts, signals).detach();
}

void interrupt_stops(samplegraph::Stop* stop) { current = stop; }

}  // namespace cli
