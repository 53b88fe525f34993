"""The other networks of a diffusers pipeline: text encoders, which make the denoiser's conditions, and decoders."""
