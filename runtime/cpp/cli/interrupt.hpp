/** Ctrl-C: stops a running call cleanly, and the program where there is none. */
#pragma once

#include "samplegraph/samplegraph.hpp"

namespace cli {

/** Take over SIGINT; called once, before any other thread is started. */
void catch_interrupts();
/** From now on an interrupt requests `stop`; null: it ends the program. */
void interrupt_stops(samplegraph::Stop* stop);

}  // namespace cli
