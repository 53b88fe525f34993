"""diffusers' denoisers as ``model(sample, timestep, **conditions)``, each with its declaration."""
