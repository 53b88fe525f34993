"""What several schedulers' steps have in common: first-order steps, churn, ancestral noise, the rule of DPM-Solver."""
