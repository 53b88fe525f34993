"""Where denoisers come from besides factories: diffusers folders, ONNX files, safetensors files, the hub."""
