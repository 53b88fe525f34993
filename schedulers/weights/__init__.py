"""Coefficients of the higher-order methods: phi functions, Adams-Bashforth and what is integrated over a grid."""
